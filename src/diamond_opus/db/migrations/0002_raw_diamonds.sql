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
