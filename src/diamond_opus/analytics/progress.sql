-- name: runs_to_watch
-- The runs that go on, and the newest ones, so that their end is seen too.
SELECT
    run_id, feed, run_type, state, status, is_replay, expected_workers, completed_workers, failed_workers,
    expected_records, fetched_records, distinct_records, rejected_records, removed_records, consolidation_processed,
    consolidation_errors, consolidation_total, removals_accepted_at, removals_settled_at, error, started_at,
    completed_at
FROM run_overview
WHERE run_id IN (SELECT n.run_id FROM run_metadata AS n ORDER BY n.started_at DESC LIMIT 5)
   OR state IN ('planned', 'ingesting', 'ingested', 'consolidating')
ORDER BY started_at, run_id;

-- name: partitions_to_watch
SELECT
    p.run_id, p.partition_id, p.state, p.lab_grown, p.expected_records, p.fetched_records, p.distinct_records,
    p.count_disputed, p.attempts, p.last_error, p.next_attempt_at
FROM partition_progress AS p
JOIN run_metadata AS r ON r.run_id = p.run_id
WHERE r.state IN ('planned', 'ingesting')
ORDER BY p.run_id, p.partition_id;

-- name: things_to_watch
-- What else changes without anybody asking: the newest error, what is wrong, what waits for a person, the dataset.
SELECT
    (SELECT max(id) FROM error_logs)::text AS newest_error_id,
    (SELECT count(*) FROM incidents WHERE resolved_at IS NULL) AS open_alerts,
    (SELECT max(opened_at) FROM incidents) AS newest_alert_at,
    (SELECT count(*) FROM removal_candidates WHERE state = 'guarded') AS guarded_removals,
    (SELECT max(updated_at) FROM dataset_versions) AS dataset_updated_at;
