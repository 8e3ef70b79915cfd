-- name: list_runs
-- The newest first. Filters that are null let everything pass.
SELECT
    run_id, feed, run_type, state, status, expected_workers, completed_workers, failed_workers, watermark_before,
    watermark_after, updated_from, updated_to, trace_id, forced, is_replay, expected_records, fetched_records,
    distinct_records, unchanged_records, rejected_records, unreadable_records, removed_records, removals_accepted_at,
    removals_settled_at, consolidation_processed, consolidation_errors, consolidation_total, error, started_at,
    ingest_completed_at, consolidation_started_at, consolidation_completed_at, completed_at, duration_ms,
    deadline_at, is_partial, distinct_records AS total_records_processed
FROM run_overview
WHERE (%(run_id)s::uuid IS NULL OR run_id = %(run_id)s)
  AND (%(feed)s::text IS NULL OR feed = %(feed)s)
  AND (%(run_type)s::text IS NULL OR run_type = %(run_type)s)
  AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s))
  AND (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s))
  AND (%(started_after)s::timestamptz IS NULL OR started_at >= %(started_after)s)
  AND (%(started_before)s::timestamptz IS NULL OR started_at <= %(started_before)s)
ORDER BY started_at DESC, run_id
LIMIT %(limit)s
OFFSET %(offset)s;

-- name: count_runs
SELECT count(*)
FROM run_overview
WHERE (%(run_id)s::uuid IS NULL OR run_id = %(run_id)s)
  AND (%(feed)s::text IS NULL OR feed = %(feed)s)
  AND (%(run_type)s::text IS NULL OR run_type = %(run_type)s)
  AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s))
  AND (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s))
  AND (%(started_after)s::timestamptz IS NULL OR started_at >= %(started_after)s)
  AND (%(started_before)s::timestamptz IS NULL OR started_at <= %(started_before)s);

-- name: list_attempts
SELECT
    id, run_id, partition_id, attempt, worker_id, status, records_processed, error_message, work_item_payload,
    started_at, completed_at
FROM worker_runs
WHERE run_id = %(run_id)s
ORDER BY started_at, partition_id, attempt;

-- name: failed_attempts
-- The newest failures of all runs.
SELECT
    w.id, w.run_id, w.partition_id, w.attempt, w.worker_id, w.status, w.records_processed, w.error_message,
    w.started_at, w.completed_at, r.run_type, r.feed, r.started_at AS run_started_at,
    p.state AS partition_state
FROM worker_runs AS w
JOIN run_metadata AS r ON r.run_id = w.run_id
JOIN partition_progress AS p ON p.run_id = w.run_id AND p.partition_id = w.partition_id
WHERE w.status = 'failed'
ORDER BY w.started_at DESC, w.id
LIMIT %(limit)s;

-- name: count_failed_attempts
SELECT count(*)
FROM worker_runs
WHERE status = 'failed';

-- name: count_all_runs
SELECT count(*)
FROM run_metadata;

-- name: failed_partitions
-- Partitions that wait for a person, with their last attempt.
SELECT
    p.partition_id, w.worker_id, coalesce(p.last_error, w.error_message) AS error_message,
    p.distinct_records AS records_processed, p.expected_records, p.attempts,
    w.work_item_payload IS NOT NULL AS has_payload, w.started_at, w.completed_at
FROM partition_progress AS p
LEFT JOIN worker_runs AS w ON w.run_id = p.run_id AND w.partition_id = p.partition_id AND w.attempt = p.attempts
WHERE p.run_id = %(run_id)s
  AND p.state = 'failed'
ORDER BY p.partition_id;

-- name: candidates_by_state
SELECT state, count(*) AS stones
FROM removal_candidates
WHERE run_id = %(run_id)s
GROUP BY state
ORDER BY state;
