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
