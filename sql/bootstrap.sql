-- The whole schema of Diamond Opus, for an empty database: one script, one transaction.
-- Generated from src/diamond_opus/db/migrations; do not edit. To write it anew:
--     diamond db bootstrap-sql > sql/bootstrap.sql
-- It records every migration it holds, so that a later `diamond db migrate` adds only what is not in here.

BEGIN;

CREATE TABLE schema_migrations (
    version TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- ---- 0001_runs
-- Runs, their partitions and attempts: the pipeline's state, with its legal transitions.
-- Why: the database is the truth and a message only a wake-up, so every step of a run is a row here.

CREATE TABLE run_metadata (
    run_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    feed TEXT NOT NULL,
    run_type TEXT NOT NULL CHECK (run_type IN ('full', 'incremental')),
    state TEXT NOT NULL DEFAULT 'planned' CHECK (
        state IN ('planned', 'ingesting', 'ingested', 'consolidating', 'completed', 'failed', 'cancelled')
    ),
    expected_workers INTEGER NOT NULL,
    completed_workers INTEGER NOT NULL DEFAULT 0,
    failed_workers INTEGER NOT NULL DEFAULT 0,
    watermark_before TIMESTAMPTZ,
    watermark_after TIMESTAMPTZ,
    -- The window read: from the watermark less an overlap; up to the planning time, fixed for ever.
    updated_from TIMESTAMPTZ,
    updated_to TIMESTAMPTZ NOT NULL,
    trace_id TEXT NOT NULL,
    forced BOOLEAN NOT NULL DEFAULT FALSE,
    expected_records BIGINT NOT NULL DEFAULT 0,
    fetched_records BIGINT NOT NULL DEFAULT 0,
    distinct_records BIGINT NOT NULL DEFAULT 0,
    unchanged_records BIGINT NOT NULL DEFAULT 0,
    rejected_records BIGINT NOT NULL DEFAULT 0,
    unreadable_records BIGINT NOT NULL DEFAULT 0,
    removed_records BIGINT NOT NULL DEFAULT 0,
    consolidation_processed BIGINT NOT NULL DEFAULT 0,
    consolidation_errors BIGINT NOT NULL DEFAULT 0,
    consolidation_total BIGINT NOT NULL DEFAULT 0,
    -- Who may finalise now (remove, move the watermark): a lease, because the supplier is asked on the way.
    finalise_token UUID,
    finalise_expires_at TIMESTAMPTZ,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ,
    woken_at TIMESTAMPTZ,
    wakes INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    ingest_completed_at TIMESTAMPTZ,
    consolidation_started_at TIMESTAMPTZ,
    consolidation_completed_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ
);

-- One active run per feed, whoever starts it.
CREATE UNIQUE INDEX run_metadata_one_active_per_feed ON run_metadata (feed)
    WHERE state IN ('planned', 'ingesting', 'ingested', 'consolidating');
CREATE INDEX run_metadata_feed_started ON run_metadata (feed, started_at DESC);
CREATE INDEX run_metadata_started ON run_metadata (started_at DESC);

CREATE FUNCTION check_run_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (OLD.state, NEW.state) IN (
        ('planned', 'ingesting'), ('planned', 'ingested'), ('planned', 'failed'), ('planned', 'cancelled'),
        ('ingesting', 'ingested'), ('ingesting', 'failed'), ('ingesting', 'cancelled'),
        ('ingested', 'consolidating'), ('ingested', 'failed'), ('ingested', 'cancelled'),
        ('consolidating', 'completed'), ('consolidating', 'failed'), ('consolidating', 'cancelled'),
        ('failed', 'ingesting'), ('failed', 'consolidating'), ('failed', 'cancelled')
    ) THEN
        RAISE EXCEPTION 'run % cannot go from % to %', OLD.run_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER run_transition BEFORE UPDATE OF state ON run_metadata
    FOR EACH ROW EXECUTE FUNCTION check_run_transition();

CREATE TABLE partition_progress (
    run_id UUID NOT NULL REFERENCES run_metadata (run_id) ON DELETE CASCADE,
    partition_id TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'range' CHECK (kind IN ('range', 'catch_up')),
    lab_grown BOOLEAN NOT NULL,
    -- Whole dollars, both ends inclusive; price_to NULL is open.
    price_from INTEGER NOT NULL DEFAULT 0,
    price_to INTEGER,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'completed', 'failed')),
    cursor JSONB NOT NULL DEFAULT '{}',
    expected_records BIGINT NOT NULL DEFAULT 0,
    fetched_records BIGINT NOT NULL DEFAULT 0,
    distinct_records BIGINT NOT NULL DEFAULT 0,
    unchanged_records BIGINT NOT NULL DEFAULT 0,
    unreadable_records BIGINT NOT NULL DEFAULT 0,
    pages_read BIGINT NOT NULL DEFAULT 0,
    count_disputed BOOLEAN NOT NULL DEFAULT FALSE,
    notes JSONB NOT NULL DEFAULT '[]',
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Attempts in a row that moved nothing forward; progress sets it back to 0.
    failures INTEGER NOT NULL DEFAULT 0,
    lease_token UUID,
    lease_expires_at TIMESTAMPTZ,
    worker_id UUID,
    woken_at TIMESTAMPTZ,
    wakes INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ,
    last_error TEXT,
    started_at TIMESTAMPTZ,
    completed_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, partition_id),
    CHECK (price_to IS NULL OR price_to > price_from),
    CHECK ((state = 'running') = (lease_token IS NOT NULL))
);

CREATE INDEX partition_progress_unfinished ON partition_progress (run_id, state)
    WHERE state IN ('pending', 'running');

CREATE FUNCTION check_partition_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (OLD.state, NEW.state) IN (
        ('pending', 'running'), ('running', 'pending'), ('running', 'completed'), ('running', 'failed'),
        ('failed', 'pending')
    ) THEN
        RAISE EXCEPTION 'partition % of run % cannot go from % to %', OLD.partition_id, OLD.run_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER partition_transition BEFORE UPDATE OF state ON partition_progress
    FOR EACH ROW EXECUTE FUNCTION check_partition_transition();

-- completed_workers and failed_workers are kept here and nowhere else, so that they cannot disagree with the partitions.
CREATE FUNCTION count_settled_partitions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (NEW.state IN ('completed', 'failed') OR OLD.state = 'failed') THEN
        UPDATE run_metadata
        SET completed_workers = completed_workers + (NEW.state = 'completed')::int,
            failed_workers = failed_workers + (NEW.state = 'failed')::int - (OLD.state = 'failed')::int
        WHERE run_id = NEW.run_id;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER settled_partitions AFTER UPDATE OF state ON partition_progress
    FOR EACH ROW EXECUTE FUNCTION count_settled_partitions();

-- One row per attempt at a partition.
CREATE TABLE worker_runs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    run_id UUID NOT NULL REFERENCES run_metadata (run_id) ON DELETE CASCADE,
    partition_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    worker_id UUID NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
    records_processed INTEGER NOT NULL DEFAULT 0,
    error_message TEXT,
    work_item_payload JSONB,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    completed_at TIMESTAMPTZ,
    UNIQUE (run_id, partition_id, attempt)
);

CREATE INDEX idx_worker_runs_status ON worker_runs (run_id, status);

-- Every heatmap scan, for history and for planning incremental runs without scanning again.
CREATE TABLE density_scans (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    feed TEXT NOT NULL,
    lab_grown BOOLEAN NOT NULL,
    total BIGINT NOT NULL,
    cells JSONB NOT NULL,
    api_calls INTEGER NOT NULL,
    scanned_at TIMESTAMPTZ NOT NULL,
    run_id UUID
);

CREATE INDEX density_scans_latest ON density_scans (feed, lab_grown, scanned_at DESC);

CREATE TABLE watermarks (
    feed TEXT PRIMARY KEY,
    last_updated_at TIMESTAMPTZ NOT NULL,
    last_run_id TEXT,
    last_run_completed_at TIMESTAMPTZ,
    version BIGINT NOT NULL
);

-- One request budget per supplier account, shared by all processes and feeds.
CREATE TABLE request_budget (
    account TEXT PRIMARY KEY,
    rate DOUBLE PRECISION NOT NULL,
    next_slot_at TIMESTAMPTZ NOT NULL,
    paused_until TIMESTAMPTZ,
    last_backoff_at TIMESTAMPTZ,
    updated_at TIMESTAMPTZ NOT NULL
);

-- Which process does the periodic work now: one row per duty.
CREATE TABLE duties (
    duty TEXT PRIMARY KEY,
    holder UUID NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
);

INSERT INTO schema_migrations (version, description)
VALUES ('0001', 'Runs, their partitions and attempts: the pipeline''s state, with its legal transitions.');

-- ---- 0002_raw_diamonds
-- Raw answers: the supplier's latest payload for every stone, byte for byte, and what could not be used.
-- Why: nothing the supplier said is lost, and a diamond can be made again from it.

CREATE TABLE raw_diamonds (
    feed TEXT NOT NULL,
    supplier_stone_id TEXT NOT NULL,
    -- The same as diamonds.id.
    id UUID NOT NULL,
    -- The run that brought this payload; last_seen_run_id is the last one that saw the stone at all.
    run_id UUID NOT NULL,
    offer_id TEXT NOT NULL,
    source_updated_at TIMESTAMPTZ,
    -- JSON, not JSONB: the exact bytes received, which JSONB would re-order, merge and partly refuse.
    payload JSON NOT NULL,
    payload_hash TEXT NOT NULL,
    consolidated BOOLEAN NOT NULL DEFAULT FALSE,
    consolidated_at TIMESTAMPTZ,
    -- What was asked when it came, in whole dollars; asked_price_to NULL is open.
    asked_lab_grown BOOLEAN NOT NULL,
    asked_price_from INTEGER NOT NULL DEFAULT 0,
    asked_price_to INTEGER,
    fetched_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    last_seen_run_id UUID NOT NULL,
    -- When the stone was found gone; seeing it again, even unchanged, makes it pending and its diamond active.
    removed_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (feed, supplier_stone_id)
) PARTITION BY LIST (feed);

-- A row above 2 KB moves its payload out until 600 bytes are left (the storage rule of PostgreSQL, with our target), so
-- that marking a stone as seen or as consolidated copies 300 bytes and not 3,000: 12 against 20 microseconds a row.
CREATE TABLE raw_diamonds_nivoda PARTITION OF raw_diamonds FOR VALUES IN ('nivoda') WITH (toast_tuple_target = 600);
CREATE TABLE raw_diamonds_other PARTITION OF raw_diamonds DEFAULT WITH (toast_tuple_target = 600);

-- What consolidation has still to do, in the order in which it takes it. SPEC's index on created_at would serve the
-- same question; keyed by stone, a pass walks the heap and every index it writes in one direction.
CREATE INDEX idx_raw_diamonds_unconsolidated ON raw_diamonds (feed, supplier_stone_id) WHERE NOT consolidated;

CREATE TABLE rejected_diamonds (
    feed TEXT NOT NULL,
    -- A null item has a made-up id: its run, partition and position.
    supplier_stone_id TEXT NOT NULL,
    offer_id TEXT,
    run_id UUID NOT NULL,
    reason TEXT NOT NULL,
    json_path TEXT NOT NULL,
    payload JSON,
    readable BOOLEAN NOT NULL DEFAULT TRUE,
    first_seen_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_seen_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    resolved_at TIMESTAMPTZ,
    PRIMARY KEY (feed, supplier_stone_id)
);

CREATE INDEX rejected_diamonds_run ON rejected_diamonds (run_id);
CREATE INDEX rejected_diamonds_open ON rejected_diamonds (feed, reason) WHERE resolved_at IS NULL;

-- The quality report's odd single fields: how often, why, and a few examples.
CREATE TABLE run_warnings (
    run_id UUID NOT NULL REFERENCES run_metadata (run_id) ON DELETE CASCADE,
    json_path TEXT NOT NULL,
    reason TEXT NOT NULL,
    occurrences BIGINT NOT NULL,
    examples TEXT[] NOT NULL,
    PRIMARY KEY (run_id, json_path, reason)
);

-- Stones that a complete full run did not see, frozen when it ended.
CREATE TABLE removal_candidates (
    run_id UUID NOT NULL REFERENCES run_metadata (run_id) ON DELETE CASCADE,
    feed TEXT NOT NULL,
    supplier_stone_id TEXT NOT NULL,
    lab_grown BOOLEAN NOT NULL,
    state TEXT NOT NULL DEFAULT 'frozen' CHECK (state IN ('frozen', 'guarded', 'gone', 'present', 'uncertain', 'removed')),
    decided_at TIMESTAMPTZ,
    PRIMARY KEY (run_id, supplier_stone_id)
);

CREATE INDEX removal_candidates_undecided ON removal_candidates (run_id, lab_grown, supplier_stone_id) WHERE state = 'frozen';

INSERT INTO schema_migrations (version, description)
VALUES ('0002', 'Raw answers: the supplier''s latest payload for every stone, byte for byte, and what could not be used.');

-- ---- 0003_diamonds
-- The catalogue: priced diamonds, the rules that price them, and the version a shop's cache compares.
-- Why: one clean row per stone, made from the newest raw payload; what is decided here (trade) is kept apart from it.

CREATE TABLE pricing_rules (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    priority INTEGER NOT NULL DEFAULT 100,
    carat_min NUMERIC(6, 2),
    carat_max NUMERIC(6, 2),
    shapes TEXT[],
    lab_grown BOOLEAN,
    feed TEXT,
    markup_ratio NUMERIC(5, 4) NOT NULL,
    rating INTEGER CHECK (rating BETWEEN 1 AND 10),
    active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX pricing_rules_active ON pricing_rules (priority, id) WHERE active;

-- The rule that matches everything; its id is fixed so that every installation and every test agrees on it.
INSERT INTO pricing_rules (id, priority, markup_ratio, rating)
VALUES ('00000000-0000-4000-8000-000000001000', 1000, 1.15, 5);

CREATE TABLE diamonds (
    id UUID PRIMARY KEY,
    feed TEXT NOT NULL DEFAULT 'nivoda',
    supplier_stone_id TEXT NOT NULL,
    offer_id TEXT NOT NULL,
    shape TEXT NOT NULL,
    carats NUMERIC(6, 2) NOT NULL,
    color TEXT,
    clarity TEXT,
    cut TEXT,
    polish TEXT,
    symmetry TEXT,
    fluorescence TEXT,
    lab_grown BOOLEAN NOT NULL DEFAULT FALSE,
    treated BOOLEAN NOT NULL DEFAULT FALSE,
    feed_price NUMERIC(12, 2) NOT NULL,
    price_per_carat NUMERIC(12, 2) NOT NULL,
    price_model_price NUMERIC(12, 2) NOT NULL,
    markup_ratio NUMERIC(5, 4) NOT NULL,
    rating INTEGER CHECK (rating BETWEEN 1 AND 10),
    rule_id UUID,
    -- What the supplier says, what was done here, and what a shop therefore sees.
    feed_availability TEXT NOT NULL CHECK (feed_availability IN ('available', 'on_hold', 'sold', 'unavailable')),
    local_status TEXT CHECK (local_status IN ('on_hold', 'sold')),
    local_status_at TIMESTAMPTZ,
    local_hold_until TIMESTAMPTZ,
    availability TEXT NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN local_status = 'sold' THEN 'sold'
            WHEN local_status = 'on_hold' AND feed_availability = 'available' THEN 'on_hold'
            ELSE feed_availability
        END
    ) STORED,
    raw_availability TEXT,
    hold_id TEXT,
    image_url TEXT,
    video_url TEXT,
    certificate_lab TEXT,
    certificate_number TEXT,
    certificate_pdf_url TEXT,
    measurements JSONB,
    attributes JSONB,
    supplier_name TEXT,
    supplier_legal_name TEXT,
    -- 1 is the best grade (domain/grades.py); NULL where there is none.
    color_rank SMALLINT,
    clarity_rank SMALLINT,
    fancy_color TEXT,
    fancy_intensity TEXT,
    fancy_overtone TEXT,
    length_mm NUMERIC(7, 2),
    width_mm NUMERIC(7, 2),
    depth_mm NUMERIC(7, 2),
    table_percent NUMERIC(7, 2),
    depth_percent NUMERIC(7, 2),
    ratio NUMERIC(8, 3),
    eye_clean BOOLEAN,
    delivery_days_min INTEGER,
    delivery_days_max INTEGER,
    returnable BOOLEAN,
    -- The payload this row was made from.
    raw_hash TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'deleted')),
    source_updated_at TIMESTAMPTZ,
    last_seen_at TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    deleted_at TIMESTAMPTZ,
    UNIQUE (feed, supplier_stone_id),
    CHECK ((status = 'deleted') = (deleted_at IS NOT NULL))
);

CREATE INDEX idx_diamonds_search ON diamonds (shape, carats, color, clarity) WHERE status = 'active';
CREATE INDEX idx_diamonds_price ON diamonds (feed_price) WHERE status = 'active';
CREATE INDEX idx_diamonds_lab_grown ON diamonds (lab_grown) WHERE status = 'active';
CREATE INDEX idx_diamonds_cut ON diamonds (cut) WHERE status = 'active';
CREATE INDEX idx_diamonds_carats ON diamonds (carats) WHERE status = 'active';
CREATE INDEX idx_diamonds_selling_price ON diamonds (price_model_price, id) WHERE status = 'active';
CREATE INDEX idx_diamonds_created ON diamonds (created_at, id) WHERE status = 'active';

-- Raised in every transaction that changes what a shop could see of a feed.
CREATE TABLE dataset_versions (
    feed TEXT PRIMARY KEY,
    version BIGINT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

INSERT INTO schema_migrations (version, description)
VALUES ('0003', 'The catalogue: priced diamonds, the rules that price them, and the version a shop''s cache compares.');

-- ---- 0004_access_and_history
-- Who may ask, what was traded, and who did what: keys, holds, purchases, signatures, audit and errors.
-- Why: these outlive runs and stones, and answer the questions of an operator after the fact.

CREATE TABLE api_keys (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    key_hash TEXT NOT NULL UNIQUE,
    client_name TEXT NOT NULL,
    permissions TEXT[] NOT NULL DEFAULT '{}' CHECK (permissions <@ ARRAY['read', 'cost', 'trade', 'admin']),
    active BOOLEAN NOT NULL DEFAULT TRUE,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    last_used_at TIMESTAMPTZ,
    expires_at TIMESTAMPTZ
);

CREATE TABLE hold_history (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    diamond_id UUID REFERENCES diamonds (id),
    feed TEXT NOT NULL,
    feed_hold_id TEXT,
    offer_id TEXT NOT NULL,
    client TEXT,
    status TEXT NOT NULL,
    denied BOOLEAN NOT NULL DEFAULT FALSE,
    hold_until TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX hold_history_diamond ON hold_history (diamond_id, created_at DESC);

CREATE TABLE purchase_history (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    diamond_id UUID REFERENCES diamonds (id),
    feed TEXT NOT NULL,
    feed_order_id TEXT,
    offer_id TEXT NOT NULL,
    client TEXT,
    idempotency_key TEXT NOT NULL,
    status TEXT NOT NULL,
    reference TEXT,
    comments TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    UNIQUE (client, idempotency_key)
);

CREATE INDEX purchase_history_diamond ON purchase_history (diamond_id);

CREATE TABLE request_signatures (
    client TEXT NOT NULL,
    signature TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (client, signature)
);

CREATE TABLE audit_log (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX audit_log_created ON audit_log (created_at DESC);

CREATE TABLE error_logs (
    id BIGSERIAL PRIMARY KEY,
    service TEXT NOT NULL,
    error_message TEXT NOT NULL,
    stack_trace TEXT,
    context JSONB,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX error_logs_service ON error_logs (service, created_at DESC);
CREATE INDEX error_logs_created ON error_logs (created_at DESC);

INSERT INTO schema_migrations (version, description)
VALUES ('0004', 'Who may ask, what was traded, and who did what: keys, holds, purchases, signatures, audit and errors.');

-- ---- 0005_dataset_changes
-- Which diamonds each version of a feed's dataset changed, and what a search of them needs.
-- Why: whoever keeps a copy in memory, or a shop that keeps its own, can fetch exactly what changed. Raising the version
-- locks the feed's row until the commit, so versions are in the order of the commits and none is ever filled in later:
-- a reader that sees version n sees every change up to n. Times have no such order.

CREATE TABLE dataset_changes (
    feed TEXT NOT NULL,
    version BIGINT NOT NULL,
    -- NULL: anything may have changed.
    diamond_ids UUID[],
    changed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (feed, version)
);

CREATE INDEX dataset_changes_changed ON dataset_changes (changed_at);

-- Last in a transaction, because others that change the feed wait from here on. An empty list raises nothing.
CREATE FUNCTION record_changes(changed_feed TEXT, changed_ids UUID[]) RETURNS void LANGUAGE sql AS $$
    WITH raised AS (
        INSERT INTO dataset_versions AS v (feed, version, updated_at)
        SELECT changed_feed, 1, clock_timestamp()
        WHERE changed_ids IS NULL OR cardinality(changed_ids) > 0
        ON CONFLICT (feed) DO UPDATE
        SET version = v.version + 1,
            updated_at = clock_timestamp()
        RETURNING feed, version, updated_at
    )
    INSERT INTO dataset_changes (feed, version, diamond_ids, changed_at)
    SELECT feed, version, changed_ids, updated_at
    FROM raised
    -- Only where versions were set back by hand.
    ON CONFLICT (feed, version) DO UPDATE
    SET diamond_ids = NULL,
        changed_at = EXCLUDED.changed_at
$$;

-- Who calls record_changes at the end says so at the beginning. Whatever else writes to diamonds, such as a statement by
-- hand, is noted by the trigger: for feed '*', as a change of anything.
CREATE FUNCTION announce_changes() RETURNS void LANGUAGE sql AS $$
    SELECT set_config('diamond_opus.announced', 'yes', TRUE)
$$;

CREATE FUNCTION note_unannounced_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('diamond_opus.announced', TRUE), '') <> 'yes' THEN
        PERFORM record_changes('*', NULL);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER unannounced_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON diamonds
    FOR EACH STATEMENT EXECUTE FUNCTION note_unannounced_change();

-- The change feed of shops: removals are changes too, so that deleted stones are in it.
CREATE INDEX idx_diamonds_updated ON diamonds (updated_at, id);
CREATE INDEX idx_diamonds_certificate ON diamonds (certificate_number) WHERE status = 'active';

INSERT INTO schema_migrations (version, description)
VALUES ('0005', 'Which diamonds each version of a feed''s dataset changed, and what a search of them needs.');

-- ---- 0006_trade
-- Holds and orders with their states, guarded by the database: one live hold and one live order a stone.
-- Why: the supplier knows no idempotency key and no order query, so that only our own rows can keep anybody from ordering
-- twice. What is sent is written here first. Nothing wrote to these tables before, so nothing has to be converted.

-- A stone that somebody here called unavailable is neither on hold nor sold. PostgreSQL changes a generated column only
-- by making it anew, which writes the table once.
ALTER TABLE diamonds
    DROP COLUMN availability,
    DROP CONSTRAINT diamonds_local_status_check,
    ADD CONSTRAINT diamonds_local_status_check CHECK (local_status IN ('on_hold', 'sold', 'unavailable')),
    ADD COLUMN availability TEXT NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN local_status = 'sold' THEN 'sold'
            WHEN local_status = 'unavailable' AND feed_availability IN ('available', 'on_hold') THEN 'unavailable'
            WHEN local_status = 'on_hold' AND feed_availability = 'available' THEN 'on_hold'
            ELSE feed_availability
        END
    ) STORED;

ALTER TABLE hold_history
    ADD COLUMN supplier_stone_id TEXT,
    -- Written by a person (POST /diamonds/{id}/availability), not asked for at the supplier.
    ADD COLUMN by_hand BOOLEAN NOT NULL DEFAULT FALSE,
    -- Why it ended as it did, in the supplier's words: not for everybody's eyes.
    ADD COLUMN reason TEXT,
    -- While the supplier is asked the process renews this; a lapsed one means that the process is gone.
    ADD COLUMN lease_token UUID,
    ADD COLUMN lease_expires_at TIMESTAMPTZ,
    ADD COLUMN sent_at TIMESTAMPTZ,
    ADD COLUMN looked_at TIMESTAMPTZ,
    ADD COLUMN free_since TIMESTAMPTZ,
    ADD COLUMN reported_at TIMESTAMPTZ,
    ADD CONSTRAINT hold_history_status_check CHECK (
        status IN ('sending', 'active', 'denied', 'failed', 'unknown', 'releasing', 'released', 'expired')
    );

CREATE UNIQUE INDEX hold_history_one_live ON hold_history (feed, supplier_stone_id)
    WHERE status IN ('sending', 'active', 'unknown', 'releasing');
CREATE INDEX hold_history_listed ON hold_history (created_at DESC, id);

ALTER TABLE purchase_history
    ADD COLUMN supplier_stone_id TEXT,
    -- SHA-256 of the canonical body, the stone included: the same key may only mean the same order.
    ADD COLUMN body_hash TEXT,
    ADD COLUMN destination_id TEXT,
    ADD COLUMN return_option BOOLEAN,
    ADD COLUMN max_price NUMERIC(12, 2),
    -- What the supplier asked for the stone just before it was ordered.
    ADD COLUMN feed_price NUMERIC(12, 2),
    -- The mark of an order that the stone bore before: another one later is ours.
    ADD COLUMN order_item_before TEXT,
    ADD COLUMN reason TEXT,
    ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1,
    ADD COLUMN lease_token UUID,
    ADD COLUMN lease_expires_at TIMESTAMPTZ,
    -- Committed before the order leaves: without it nothing was sent.
    ADD COLUMN sent_at TIMESTAMPTZ,
    ADD COLUMN looked_at TIMESTAMPTZ,
    ADD COLUMN free_since TIMESTAMPTZ,
    ADD COLUMN reported_at TIMESTAMPTZ,
    -- Who found out what became of a lost answer, when, and how: evidence, or a person.
    ADD COLUMN resolved_by TEXT,
    ADD COLUMN resolved_at TIMESTAMPTZ,
    ADD COLUMN resolved_how TEXT CHECK (resolved_how IN ('evidence', 'person')),
    ADD COLUMN resolution_note TEXT,
    -- What the caller was told, byte for byte, for whoever repeats the request.
    ADD COLUMN answer_status INTEGER,
    ADD COLUMN answer_body TEXT,
    ADD CONSTRAINT purchase_history_status_check CHECK (
        status IN ('sending', 'unknown', 'ordered', 'confirmed', 'refused', 'failed', 'returned')
    );

CREATE UNIQUE INDEX purchase_history_one_live ON purchase_history (feed, supplier_stone_id)
    WHERE status IN ('sending', 'unknown', 'ordered', 'confirmed');
CREATE INDEX purchase_history_open ON purchase_history (status) WHERE status IN ('sending', 'unknown', 'ordered');
CREATE INDEX purchase_history_listed ON purchase_history (created_at DESC, id);
CREATE INDEX purchase_history_client ON purchase_history (client, created_at DESC);

-- What a person here says of a stone that is neither held nor ordered through us.
CREATE TABLE availability_marks (
    feed TEXT NOT NULL,
    supplier_stone_id TEXT NOT NULL,
    availability TEXT NOT NULL CHECK (availability IN ('sold', 'unavailable')),
    client TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (feed, supplier_stone_id)
);

CREATE FUNCTION check_hold_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> OLD.status AND NOT (OLD.status, NEW.status) IN (
        ('sending', 'active'), ('sending', 'denied'), ('sending', 'failed'), ('sending', 'unknown'),
        ('unknown', 'active'), ('unknown', 'failed'), ('unknown', 'released'), ('unknown', 'expired'),
        ('active', 'releasing'), ('active', 'released'), ('active', 'expired'),
        ('releasing', 'active'), ('releasing', 'released'), ('releasing', 'expired')
    ) THEN
        RAISE EXCEPTION 'hold % cannot go from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER hold_transition BEFORE UPDATE OF status ON hold_history
    FOR EACH ROW EXECUTE FUNCTION check_hold_transition();

CREATE FUNCTION check_order_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status <> OLD.status AND NOT (OLD.status, NEW.status) IN (
        ('sending', 'ordered'), ('sending', 'refused'), ('sending', 'failed'), ('sending', 'unknown'),
        ('unknown', 'ordered'), ('unknown', 'confirmed'), ('unknown', 'refused'),
        ('ordered', 'confirmed'), ('ordered', 'refused'),
        ('failed', 'sending'),
        ('confirmed', 'returned')
    ) THEN
        RAISE EXCEPTION 'order % cannot go from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER order_transition BEFORE UPDATE OF status ON purchase_history
    FOR EACH ROW EXECUTE FUNCTION check_order_transition();

INSERT INTO schema_migrations (version, description)
VALUES ('0006', 'Holds and orders with their states, guarded by the database: one live hold and one live order a stone.');

-- ---- 0007_operators
-- What operators see and start: one view of a run's figures, replays of quarantined stones, accepted removals.
-- Why: every list, command and event reads the same figures, and what a person accepts is done by whichever process is
-- there, even if the one that was asked dies.
-- A replay is a run that reads nothing: it maps pending raw answers anew and leaves the watermark where it is.
ALTER TABLE run_metadata
    ADD COLUMN is_replay BOOLEAN NOT NULL DEFAULT FALSE,
    -- A person's yes to removals that the guard held back; settled when each stone was asked for.
    ADD COLUMN removals_accepted_at TIMESTAMPTZ,
    ADD COLUMN removals_settled_at TIMESTAMPTZ;
CREATE INDEX run_metadata_unsettled_removals ON run_metadata (run_id)
    WHERE removals_accepted_at IS NOT NULL AND removals_settled_at IS NULL;
CREATE INDEX removal_candidates_guarded ON removal_candidates (run_id) WHERE state = 'guarded';

CREATE INDEX worker_runs_failed ON worker_runs (started_at DESC) WHERE status = 'failed';
CREATE INDEX rejected_diamonds_seen ON rejected_diamonds (last_seen_at DESC, feed, supplier_stone_id);

-- While a run is being read its figures are those of its partitions so far; afterwards those counted over the raw table.
-- status is SPEC's word for where a run stands: partial has failed partitions and goes on, or was completed by force.
CREATE VIEW run_overview AS
SELECT
    r.run_id, r.feed, r.run_type, r.state,
    CASE
        WHEN r.state IN ('failed', 'cancelled') THEN 'failed'
        WHEN r.completed_workers < r.expected_workers AND (r.state = 'completed' OR r.failed_workers > 0) THEN 'partial'
        WHEN r.state = 'completed' THEN 'completed'
        ELSE 'running'
    END AS status,
    r.expected_workers, r.completed_workers, r.failed_workers, r.watermark_before, r.watermark_after, r.updated_from,
    r.updated_to, r.trace_id, r.forced, r.is_replay, r.expected_records,
    CASE WHEN r.ingest_completed_at IS NULL THEN (
        SELECT coalesce(sum(p.fetched_records), 0)::bigint FROM partition_progress AS p WHERE p.run_id = r.run_id
    ) ELSE r.fetched_records END AS fetched_records,
    CASE WHEN r.ingest_completed_at IS NULL THEN (
        SELECT coalesce(sum(p.distinct_records), 0)::bigint FROM partition_progress AS p WHERE p.run_id = r.run_id
    ) ELSE r.distinct_records END AS distinct_records,
    CASE WHEN r.ingest_completed_at IS NULL THEN (
        SELECT coalesce(sum(p.unchanged_records), 0)::bigint FROM partition_progress AS p WHERE p.run_id = r.run_id
    ) ELSE r.unchanged_records END AS unchanged_records,
    r.rejected_records,
    CASE WHEN r.ingest_completed_at IS NULL THEN (
        SELECT coalesce(sum(p.unreadable_records), 0)::bigint FROM partition_progress AS p WHERE p.run_id = r.run_id
    ) ELSE r.unreadable_records END AS unreadable_records,
    r.removed_records, r.removals_accepted_at, r.removals_settled_at, r.consolidation_processed, r.consolidation_errors,
    r.consolidation_total, r.error, r.started_at, r.ingest_completed_at, r.consolidation_started_at,
    r.consolidation_completed_at, r.completed_at, r.next_attempt_at,
    CASE
        WHEN r.completed_at IS NOT NULL THEN (extract(EPOCH FROM r.completed_at - r.started_at) * 1000)::bigint
        WHEN r.state <> 'failed' THEN (extract(EPOCH FROM now() - r.started_at) * 1000)::bigint
    END AS duration_ms
FROM run_metadata AS r;

INSERT INTO schema_migrations (version, description)
VALUES ('0007', 'What operators see and start: one view of a run''s figures, replays of quarantined stones, accepted removals.');

-- ---- 0008_doors
-- With which idempotency key a signed request came first, and an index to prune signatures by.
-- Why: a signature covers no header. Repeating a purchase is allowed, so that a client whose connection broke can learn what
-- became of it; but only with the key it came with, or who overheard it could buy again under another one.
-- Safe with old code: nullable, no default, no rewrite.

ALTER TABLE request_signatures ADD COLUMN idempotency_hash TEXT;

CREATE INDEX request_signatures_expiry ON request_signatures (expires_at);

INSERT INTO schema_migrations (version, description)
VALUES ('0008', 'With which idempotency key a signed request came first, and an index to prune signatures by.');

-- ---- 0009_deadlines
-- Until when a run may take, and runs that were consolidated without the ranges that failed.
-- Why: a run that nobody ends would block its feed for ever; and what is complete need not wait for what failed, as long as
-- nobody takes it for the whole: a partial run is never completed, moves no watermark and removes nothing.
-- Safe with old code: a row it inserts has no deadline and is not partial.
ALTER TABLE run_metadata
    -- How long the run may take from its planning, or from a person's retry on; NULL is for ever.
    ADD COLUMN time_limit INTERVAL,
    ADD COLUMN deadline_at TIMESTAMPTZ,
    ADD COLUMN is_partial BOOLEAN NOT NULL DEFAULT FALSE,
    -- How it failed, which is what people are told, and when they were: a process that dies in between leaves it to others.
    ADD COLUMN failure TEXT CHECK (
        failure IN ('consolidation_skipped', 'consolidation_failed', 'run_partial', 'run_timed_out')
    ),
    ADD COLUMN told_at TIMESTAMPTZ,
    ADD CONSTRAINT run_metadata_partial_is_not_completed CHECK (NOT (is_partial AND state = 'completed'));
CREATE INDEX run_metadata_untold ON run_metadata (run_id)
    WHERE state = 'failed' AND failure IS NOT NULL AND told_at IS NULL;

-- As before, with the deadline and is_partial at its end; a run that was consolidated in part has the status for it.
CREATE OR REPLACE VIEW run_overview AS
SELECT
    r.run_id, r.feed, r.run_type, r.state,
    CASE
        WHEN r.state = 'failed' AND r.is_partial AND r.consolidation_completed_at IS NOT NULL THEN 'partial'
        WHEN r.state IN ('failed', 'cancelled') THEN 'failed'
        WHEN r.completed_workers < r.expected_workers AND (r.state = 'completed' OR r.failed_workers > 0) THEN 'partial'
        WHEN r.state = 'completed' THEN 'completed'
        ELSE 'running'
    END AS status,
    r.expected_workers, r.completed_workers, r.failed_workers, r.watermark_before, r.watermark_after, r.updated_from,
    r.updated_to, r.trace_id, r.forced, r.is_replay, r.expected_records,
    CASE WHEN r.ingest_completed_at IS NULL THEN (
        SELECT coalesce(sum(p.fetched_records), 0)::bigint FROM partition_progress AS p WHERE p.run_id = r.run_id
    ) ELSE r.fetched_records END AS fetched_records,
    CASE WHEN r.ingest_completed_at IS NULL THEN (
        SELECT coalesce(sum(p.distinct_records), 0)::bigint FROM partition_progress AS p WHERE p.run_id = r.run_id
    ) ELSE r.distinct_records END AS distinct_records,
    CASE WHEN r.ingest_completed_at IS NULL THEN (
        SELECT coalesce(sum(p.unchanged_records), 0)::bigint FROM partition_progress AS p WHERE p.run_id = r.run_id
    ) ELSE r.unchanged_records END AS unchanged_records,
    r.rejected_records,
    CASE WHEN r.ingest_completed_at IS NULL THEN (
        SELECT coalesce(sum(p.unreadable_records), 0)::bigint FROM partition_progress AS p WHERE p.run_id = r.run_id
    ) ELSE r.unreadable_records END AS unreadable_records,
    r.removed_records, r.removals_accepted_at, r.removals_settled_at, r.consolidation_processed, r.consolidation_errors,
    r.consolidation_total, r.error, r.started_at, r.ingest_completed_at, r.consolidation_started_at,
    r.consolidation_completed_at, r.completed_at, r.next_attempt_at,
    CASE
        WHEN r.completed_at IS NOT NULL THEN (extract(EPOCH FROM r.completed_at - r.started_at) * 1000)::bigint
        WHEN r.state <> 'failed' THEN (extract(EPOCH FROM now() - r.started_at) * 1000)::bigint
    END AS duration_ms,
    r.deadline_at, r.is_partial
FROM run_metadata AS r;

INSERT INTO schema_migrations (version, description)
VALUES ('0009', 'Until when a run may take, and runs that were consolidated without the ranges that failed.');

-- ---- 0010_commits
-- How many transactions moved a partition forward.
-- Why: a connection lost in the very commit leaves open whether it happened. The same step done once more counted its stones
-- twice; with its number it is known for done.
-- Safe with old code: it neither reads nor writes the column, and a partition has one worker at a time.
ALTER TABLE partition_progress ADD COLUMN commits INT NOT NULL DEFAULT 0;

INSERT INTO schema_migrations (version, description)
VALUES ('0010', 'How many transactions moved a partition forward.');

-- ---- 0011_incidents
-- What is wrong, who was told of it and when, how the supplier answers, and what housekeeping and backups did.
-- Why: an alert that is only sent is lost with the provider that was down, and sent again by whoever sees the same trouble.
-- A row for each incident says it once, however many see it; a row for each delivery keeps it until a channel has it.
-- Safe with old code: new tables only.

-- Trouble with a beginning and an end. One that is open is told once, and its end once.
CREATE TABLE incidents (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    -- What kind (monitoring/events.py), and what it is about: a run, an order, a queue, a feed; '' is the whole system.
    event TEXT NOT NULL,
    subject TEXT NOT NULL DEFAULT '',
    severity TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'error', 'critical')),
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    facts JSONB NOT NULL DEFAULT '{}',
    -- Without a reference: an incident outlives the run it tells of.
    run_id UUID,
    -- Since when it is so, which may be long before anybody noticed.
    since TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    opened_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    last_seen_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    occurrences INT NOT NULL DEFAULT 1,
    -- Since when it is no longer seen; what is back before the quiet time is over was never gone.
    cleared_at TIMESTAMPTZ,
    resolved_at TIMESTAMPTZ,
    resolution TEXT,
    -- When its deliveries were written, to every channel there was.
    addressed_at TIMESTAMPTZ,
    CHECK (resolved_at IS NULL OR cleared_at IS NOT NULL)
);

CREATE UNIQUE INDEX incidents_one_open ON incidents (event, subject) WHERE resolved_at IS NULL;
CREATE INDEX incidents_opened ON incidents (opened_at DESC, id);
CREATE INDEX incidents_unaddressed ON incidents (opened_at) WHERE addressed_at IS NULL;

-- One row for each channel that is told of an incident's beginning or end; a channel's name holds no secret.
CREATE TABLE alert_deliveries (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id UUID NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('opened', 'resolved')),
    channel TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sending', 'delivered', 'unknown', 'abandoned')),
    attempts INT NOT NULL DEFAULT 0,
    -- Attempts after which it is not known whether the channel has it: the answer was lost. The second is the last.
    unanswered INT NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    lease_token UUID,
    lease_expires_at TIMESTAMPTZ,
    last_error TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    settled_at TIMESTAMPTZ,
    UNIQUE (incident_id, kind, channel),
    CHECK ((state = 'sending') = (lease_token IS NOT NULL)),
    CHECK ((state IN ('delivered', 'unknown', 'abandoned')) = (settled_at IS NOT NULL))
);

CREATE INDEX alert_deliveries_due ON alert_deliveries (next_attempt_at) WHERE state IN ('pending', 'sending');

CREATE FUNCTION check_delivery_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (OLD.state, NEW.state) IN (
        ('pending', 'sending'), ('pending', 'abandoned'), ('sending', 'pending'), ('sending', 'delivered'),
        ('sending', 'unknown'), ('sending', 'abandoned')
    ) THEN
        RAISE EXCEPTION 'delivery % cannot go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER delivery_transition BEFORE UPDATE OF state ON alert_deliveries
    FOR EACH ROW EXECUTE FUNCTION check_delivery_transition();

-- How each feed's supplier answers us; written when that changes, and twice a minute while it does not.
CREATE TABLE supplier_health (
    feed TEXT PRIMARY KEY,
    -- It answers; refuses us (403, 429); does not let us log in; answers nobody.
    state TEXT NOT NULL CHECK (state IN ('answering', 'refusing', 'login_failed', 'away')),
    since TIMESTAMPTZ NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    reason TEXT
);

-- Each time something that has to be done regularly was done, or failed: housekeeping by task, and backups.
CREATE TABLE upkeep (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task TEXT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL,
    completed_at TIMESTAMPTZ,
    rows_affected BIGINT NOT NULL DEFAULT 0,
    details JSONB NOT NULL DEFAULT '{}',
    error TEXT
);

CREATE INDEX upkeep_task ON upkeep (task, started_at DESC);

INSERT INTO schema_migrations (version, description)
VALUES ('0011', 'What is wrong, who was told of it and when, how the supplier answers, and what housekeeping and backups did.');

-- ---- 0012_retention
-- Finding what is past its time without reading the whole inventory.
-- Why: housekeeping takes a batch, commits and asks for the next one. Without these each batch reads every raw stone or
-- every diamond to find a thousand that have been gone for months. And who tells of the ends of incidents looks for the
-- latest every 5 s: without one it reads all there ever were.
-- Safe with old code: indexes only. Each holds only what is gone or settled, so that a run that changes nothing else
-- writes to none of them.
CREATE INDEX raw_diamonds_removed ON raw_diamonds (removed_at) WHERE removed_at IS NOT NULL AND payload_hash <> '';
CREATE INDEX diamonds_deleted ON diamonds (deleted_at) WHERE status = 'deleted';
CREATE INDEX rejected_diamonds_resolved ON rejected_diamonds (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX incidents_resolved ON incidents (resolved_at) WHERE resolved_at IS NOT NULL;

INSERT INTO schema_migrations (version, description)
VALUES ('0012', 'Finding what is past its time without reading the whole inventory.');

-- ---- 0013_told_as
-- Under which id a channel was told of an incident, which is not always the incident's own.
-- Why: processes that cannot ask the database tell of one outage under ids of their own. A channel that groups by id, such
-- as PagerDuty, ends only what it is told the end of: each id has its own beginning and its own end.
-- Safe with old code: what it writes without an id gets the incident's own.
ALTER TABLE alert_deliveries ADD COLUMN told_as UUID;
UPDATE alert_deliveries SET told_as = incident_id;
ALTER TABLE alert_deliveries
    ALTER COLUMN told_as SET NOT NULL,
    DROP CONSTRAINT alert_deliveries_incident_id_kind_channel_key,
    ADD UNIQUE (incident_id, kind, channel, told_as);

CREATE FUNCTION tell_as_incident() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.told_as := NEW.incident_id;
    RETURN NEW;
END $$;

CREATE TRIGGER delivery_told_as BEFORE INSERT ON alert_deliveries
    FOR EACH ROW WHEN (NEW.told_as IS NULL) EXECUTE FUNCTION tell_as_incident();

-- What is not tried any more ends as unknown when an answer was lost before: it may have arrived, and then has an end.
CREATE OR REPLACE FUNCTION check_delivery_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND NOT (OLD.state, NEW.state) IN (
        ('pending', 'sending'), ('pending', 'unknown'), ('pending', 'abandoned'), ('sending', 'pending'),
        ('sending', 'delivered'), ('sending', 'unknown'), ('sending', 'abandoned')
    ) THEN
        RAISE EXCEPTION 'delivery % cannot go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

INSERT INTO schema_migrations (version, description)
VALUES ('0013', 'Under which id a channel was told of an incident, which is not always the incident''s own.');

COMMIT;
