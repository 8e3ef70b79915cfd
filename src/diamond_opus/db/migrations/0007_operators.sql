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
