-- name: last_successful_run
-- A replay reads nothing, so it makes nothing fresh.
SELECT
    run_id, feed, run_type, expected_workers, completed_workers, failed_workers, watermark_before, watermark_after,
    started_at, completed_at
FROM run_overview
WHERE status = 'completed'
  AND NOT is_replay
ORDER BY started_at DESC
LIMIT 1;

-- name: active_runs
SELECT run_id, feed, run_type, state, started_at
FROM run_overview
WHERE state IN ('planned', 'ingesting', 'ingested', 'consolidating')
ORDER BY started_at DESC;

-- name: recent_runs
-- The week up to now.
SELECT
    count(*) AS total,
    count(*) FILTER (WHERE status = 'completed') AS completed,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'partial') AS partial,
    count(*) FILTER (WHERE status = 'running') AS running
FROM run_overview
WHERE started_at >= now() - interval '7 days';

-- name: attention
-- What waits for a person.
SELECT
    (SELECT count(*) FROM rejected_diamonds WHERE resolved_at IS NULL) AS open_rejections,
    -- Partitions that a retry can still put right: an older run is pointless once a newer one of its feed exists.
    (
        SELECT count(*)
        FROM run_metadata AS r
        JOIN partition_progress AS p ON p.run_id = r.run_id AND p.state = 'failed'
        WHERE r.state IN ('ingesting', 'failed')
          AND NOT EXISTS (
              SELECT
              FROM run_metadata AS newer
              WHERE newer.feed = r.feed
                AND newer.started_at > r.started_at
          )
    ) AS failed_workers,
    (SELECT count(*) FROM purchase_history WHERE status = 'unknown') AS unknown_orders,
    (SELECT count(*) FROM hold_history WHERE status = 'unknown') AS unknown_holds,
    (SELECT count(*) FROM removal_candidates WHERE state = 'guarded') AS guarded_removals,
    (SELECT count(*) FROM error_logs WHERE created_at >= now() - interval '1 day') AS errors_of_a_day;
