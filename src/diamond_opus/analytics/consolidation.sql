-- name: count_pending
-- Served by the index of what is pending: nothing is read when nothing is.
SELECT count(*)
FROM raw_diamonds
WHERE NOT consolidated;

-- name: newest_consolidations
SELECT
    run_id, feed, run_type, state, status, is_replay, started_at, completed_at, expected_workers, completed_workers,
    failed_workers, consolidation_started_at, consolidation_completed_at, consolidation_processed,
    consolidation_errors, consolidation_total, next_attempt_at, error
FROM run_overview
ORDER BY started_at DESC, run_id
LIMIT %(limit)s;

-- name: pending_of_run
SELECT count(*) AS pending, min(fetched_at) AS oldest
FROM raw_diamonds
WHERE run_id = %(run_id)s
  AND NOT consolidated;

-- name: rejected_of_run
SELECT count(*)
FROM rejected_diamonds
WHERE run_id = %(run_id)s
  AND readable
  AND resolved_at IS NULL;
