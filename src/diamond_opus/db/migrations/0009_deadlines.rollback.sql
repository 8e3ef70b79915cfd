-- The release before would take a partial run for a whole one and move the watermark past what it lacks.
UPDATE run_metadata SET state = 'failed' WHERE is_partial AND state IN ('ingested', 'consolidating');
DROP VIEW run_overview;
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
DROP INDEX run_metadata_untold;
ALTER TABLE run_metadata
    DROP CONSTRAINT run_metadata_partial_is_not_completed,
    DROP COLUMN time_limit,
    DROP COLUMN deadline_at,
    DROP COLUMN is_partial,
    DROP COLUMN failure,
    DROP COLUMN told_at;
