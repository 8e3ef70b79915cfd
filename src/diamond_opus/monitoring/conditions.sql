-- name: still_so
-- Of the incidents that were opened where their trouble arose, those that are not over. What a person has to settle stays
-- until he says so: diamond alerts resolve. A run that was planned while the database's clock was ahead has begun after
-- those that follow it: the incident's own time counts then.
SELECT i.id
FROM incidents AS i
LEFT JOIN run_metadata AS r ON r.run_id = i.run_id
WHERE i.resolved_at IS NULL
  AND (
      i.event = ANY (%(settled_by_people)s)
      -- A failed run is trouble while it is retried too: until it is completed or given up, or a later one that read as
      -- much was completed. What a full run did not find is on sale until the next full one.
      OR (
          i.event IN ('consolidation_skipped', 'consolidation_failed', 'run_partial', 'run_timed_out')
          AND r.state NOT IN ('completed', 'cancelled')
          AND NOT EXISTS (
              SELECT FROM run_metadata AS later
              WHERE later.feed = r.feed
                AND later.started_at > least(r.started_at, i.opened_at)
                AND later.state = 'completed'
                AND (later.run_type = 'full' OR r.run_type <> 'full')
                AND NOT later.forced
                AND NOT later.is_replay
          )
      )
      -- A later full run looks for the missing stones itself.
      OR (
          i.event = 'removal_guarded'
          AND r.removals_accepted_at IS NULL
          AND EXISTS (
              SELECT FROM removal_candidates AS c
              WHERE c.run_id = r.run_id
                AND c.state = 'guarded'
                AND c.lab_grown = (i.subject LIKE '%%:lab-grown')
          )
          AND NOT EXISTS (
              SELECT FROM run_metadata AS later
              WHERE later.feed = r.feed
                AND later.started_at > least(r.started_at, i.opened_at)
                AND later.state = 'completed'
                AND later.run_type = 'full'
                AND NOT later.forced
                AND NOT later.is_replay
          )
      )
      -- The next completed run moves the watermark, or finds stones.
      OR (
          i.event = 'watermark_ahead'
          AND r.run_id IS NOT NULL
          AND NOT EXISTS (
              SELECT FROM run_metadata AS later
              WHERE later.feed = r.feed
                AND later.started_at >= least(r.started_at, i.opened_at)
                AND later.state = 'completed'
                AND later.watermark_after IS NOT NULL
          )
      )
      OR (
          i.event = 'empty_inventory'
          AND r.run_id IS NOT NULL
          AND NOT EXISTS (
              SELECT FROM run_metadata AS later
              WHERE later.feed = r.feed
                AND later.started_at > least(r.started_at, i.opened_at)
                AND later.expected_records > 0
          )
      )
      OR (
          i.event = 'order_unknown'
          AND EXISTS (SELECT FROM purchase_history AS p WHERE p.id::text = i.subject AND p.status = 'unknown')
      )
      OR (
          i.event = 'hold_unknown'
          AND EXISTS (SELECT FROM hold_history AS h WHERE h.id::text = i.subject AND h.status = 'unknown')
      )
      -- The next plan that worked.
      OR (
          i.event = 'planning_failed'
          AND NOT EXISTS (
              SELECT FROM run_metadata AS later
              WHERE later.feed = i.subject
                AND later.started_at > i.last_seen_at
                AND NOT later.is_replay
          )
      )
      -- Whoever meets it says so again every minute; between two tries lie five at most.
      OR (i.event = 'database_full' AND i.last_seen_at > clock_timestamp() - interval '10 minutes')
      -- Its command ends it; one that is older lost its command.
      OR (i.event = 'test' AND i.opened_at > clock_timestamp() - interval '10 minutes')
      OR (
          i.event = 'supplier_unavailable'
          AND EXISTS (SELECT FROM supplier_health AS s WHERE s.feed = i.subject AND s.state <> 'answering')
      )
  );

-- name: run_late
-- The clock's last call that had time enough, and no run that was completed since. One that began before and was
-- completed after counts: its stones are newer than the call. One that was forced left ranges unread.
SELECT
    %(feed)s::text AS subject, coalesce(last.completed_at, installed.applied_at) AS since,
    %(called_at)s::timestamptz AS called_at
FROM (
    SELECT max(completed_at) AS completed_at
    FROM run_metadata
    WHERE feed = %(feed)s
      AND run_type = ANY (%(run_types)s)
      AND state = 'completed'
      AND NOT forced
      AND NOT is_replay
) AS last, (SELECT min(applied_at) AS applied_at FROM schema_migrations) AS installed
WHERE coalesce(last.completed_at, installed.applied_at) < %(called_at)s;

-- name: partition_failed
-- Ranges that wait for a person, and those that a retry is at since. Only a feed's newest run can be retried.
SELECT
    r.run_id::text AS subject, r.run_id, r.feed, min(p.updated_at) AS since, count(*) AS partitions,
    sum(greatest(p.expected_records - p.fetched_records, 0))::bigint AS stones,
    array_to_string(
        (array_agg(p.partition_id || ': ' || coalesce(p.last_error, 'no reason') ORDER BY p.partition_id))[1:3], '; '
    ) AS examples,
    CASE
        WHEN NOT EXISTS (
            SELECT FROM run_metadata AS newer
            WHERE newer.feed = r.feed
              AND newer.started_at > r.started_at
              AND NOT newer.is_replay
        ) THEN 'diamond retry ' || r.run_id
        WHEN r.run_type = 'full' THEN 'diamond schedule --type full'
        ELSE 'diamond schedule'
    END AS remedy
FROM run_metadata AS r
JOIN partition_progress AS p ON p.run_id = r.run_id
WHERE r.state NOT IN ('completed', 'cancelled')
  AND (
      p.state = 'failed'
      OR (
          p.state <> 'completed'
          AND EXISTS (
              SELECT FROM incidents AS i
              WHERE i.event = 'partition_failed'
                AND i.subject = r.run_id::text
                AND i.resolved_at IS NULL
          )
      )
  )
  AND NOT EXISTS (
      SELECT FROM run_metadata AS later
      WHERE later.feed = r.feed
        AND later.started_at > r.started_at
        AND later.state = 'completed'
        AND (later.run_type = 'full' OR r.run_type <> 'full')
        AND NOT later.forced
        AND NOT later.is_replay
  )
GROUP BY r.run_id, r.feed;

-- name: rejected_share
-- Stones in quarantine now, beside those that the newest full run saw; an index leads to just the open ones.
SELECT
    rejected.feed AS subject, rejected.feed, rejected.stones, rejected.since, seen.stones AS seen,
    round(rejected.stones * 100.0 / seen.stones, 1) AS percent
FROM (
    SELECT feed, count(*) AS stones, min(first_seen_at) AS since
    FROM rejected_diamonds
    WHERE resolved_at IS NULL
    GROUP BY feed
) AS rejected
CROSS JOIN LATERAL (
    SELECT greatest(max(distinct_records), rejected.stones) AS stones
    FROM (
        SELECT distinct_records
        FROM run_metadata
        WHERE feed = rejected.feed
          AND run_type = 'full'
          AND state = 'completed'
          AND NOT is_replay
        ORDER BY started_at DESC
        LIMIT 1
    ) AS newest
) AS seen
WHERE seen.stones > 0
  AND rejected.stones > %(rejected_share)s::float8 * seen.stones;

-- name: supplier_unavailable
-- Not for a moment's trouble: bad for so long, and seen to be.
SELECT feed AS subject, feed, since, coalesce(reason, 'it gave no reason') AS reason
FROM supplier_health
WHERE state = 'away'
  AND seen_at - since >= %(refusal)s;

-- name: supplier_refuses
SELECT feed AS subject, feed, since, coalesce(reason, 'it gave no reason') AS reason
FROM supplier_health AS s
WHERE state = 'refusing'
  AND (
      seen_at - since >= %(refusal)s
      OR EXISTS (
          SELECT FROM incidents AS i
          WHERE i.event = 'supplier_refuses'
            AND i.subject = s.feed
            AND i.resolved_at IS NULL
      )
  );

-- name: supplier_login_failed
SELECT feed AS subject, feed, since, coalesce(reason, 'it gave no reason') AS reason
FROM supplier_health
WHERE state = 'login_failed';

-- name: budget_exhausted
-- Whoever books a slot now waits for it longer than any answer takes; or the rate is as low as it gets, and in use.
SELECT
    account AS subject, account,
    CASE WHEN rate <= 0.25 THEN coalesce(last_backoff_at, updated_at) ELSE updated_at END AS since,
    round(rate::numeric, 2) AS rate,
    round(extract(EPOCH FROM greatest(next_slot_at - %(now)s, interval '0')))::bigint AS wait_seconds
FROM request_budget
WHERE next_slot_at > %(now)s + interval '60 seconds'
   OR (rate <= 0.25 AND updated_at > %(now)s - interval '5 minutes');

-- name: watermark_stuck
-- The newest run that should have moved it was completed, and it is still behind that run's planning time.
SELECT
    newest.run_id::text AS subject, newest.run_id, newest.feed, newest.completed_at AS since, newest.updated_to,
    coalesce(to_char(newest.watermark_after, 'YYYY-MM-DD HH24:MI "UTC"'), 'where it was') AS watermark_at
FROM (
    SELECT DISTINCT ON (feed) run_id, feed, completed_at, updated_to, watermark_after
    FROM run_metadata
    WHERE state = 'completed'
      AND NOT forced
      AND NOT is_replay
    ORDER BY feed, completed_at DESC
) AS newest
WHERE newest.watermark_after IS NULL
   OR newest.watermark_after < newest.updated_to;

-- name: database_size
SELECT pg_database_size(current_database());

-- name: backup_overdue
SELECT '' AS subject, coalesce(last.completed_at, installed.applied_at) AS since
FROM (
    SELECT max(completed_at) AS completed_at
    FROM upkeep
    WHERE task = 'backup'
      AND error IS NULL
) AS last, (SELECT applied_at FROM schema_migrations WHERE version = '0011') AS installed
WHERE coalesce(last.completed_at, installed.applied_at) < %(now)s - %(backup_age)s;

-- name: maintenance_overdue
-- Tasks that had no success since the clock's last call but one; what was never done counts from the release
-- that knows of it.
SELECT
    '' AS subject, min(coalesce(last.completed_at, installed.applied_at)) AS since,
    string_agg(due.task, ', ' ORDER BY due.task) AS tasks, coalesce(max(failed.error), '') AS reason
FROM unnest(%(tasks)s::text[]) AS due (task)
CROSS JOIN (SELECT applied_at FROM schema_migrations WHERE version = '0011') AS installed
LEFT JOIN LATERAL (
    SELECT max(u.completed_at) AS completed_at
    FROM upkeep AS u
    WHERE u.task = due.task
      AND u.error IS NULL
) AS last ON TRUE
LEFT JOIN LATERAL (
    SELECT u.error
    FROM upkeep AS u
    WHERE u.task = due.task
    ORDER BY u.started_at DESC
    LIMIT 1
) AS failed ON TRUE
WHERE coalesce(last.completed_at, installed.applied_at) < %(maintained_by)s
HAVING count(*) > 0;
