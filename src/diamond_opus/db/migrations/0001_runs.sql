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
