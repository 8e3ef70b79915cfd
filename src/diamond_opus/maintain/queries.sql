-- What is past its time. Each selection names the rows of one table as t; delete_batch takes some of them, count_rows
-- all of them, so that what a dry run tells is what would go. %(before)s is where the time that they are kept begins.

-- name: delete_batch
-- A short transaction: the rows are locked, so that whoever works on one just now keeps it until the next time.
WITH batch AS (
    {selection}
    LIMIT %(limit)s
    FOR UPDATE OF t SKIP LOCKED
)
DELETE FROM {table} AS gone
USING batch
WHERE gone.ctid = batch.ctid;

-- name: count_rows
SELECT count(*) AS rows
FROM ({selection}) AS found;

-- name: error_logs
SELECT t.ctid
FROM error_logs AS t
WHERE t.created_at < %(before)s
ORDER BY t.created_at

-- name: audit_log
SELECT t.ctid
FROM audit_log AS t
WHERE t.created_at < %(before)s
ORDER BY t.created_at

-- name: density_scans
-- The newest of each feed and type is what an incremental run is planned by.
SELECT t.ctid
FROM density_scans AS t
WHERE t.scanned_at < %(before)s
  AND EXISTS (
      SELECT FROM density_scans AS newer
      WHERE newer.feed = t.feed
        AND newer.lab_grown = t.lab_grown
        AND newer.scanned_at > t.scanned_at
  )

-- name: incidents
-- With their deliveries. One that is open stays, however old.
SELECT t.ctid
FROM incidents AS t
WHERE t.resolved_at < %(before)s

-- name: request_signatures
-- Whoever signs also removes some of them; without another signed request they would stay.
SELECT t.ctid
FROM request_signatures AS t
WHERE t.expires_at < %(before)s
ORDER BY t.expires_at

-- name: dataset_changes
-- Every API process removes them as well: this is for an installation in which none runs.
SELECT t.ctid
FROM dataset_changes AS t
WHERE t.changed_at < %(before)s

-- name: upkeep
-- Of each task the newest that succeeded stays: it says how long ago that was.
SELECT t.ctid
FROM upkeep AS t
WHERE t.started_at < %(before)s
  AND t.id IS DISTINCT FROM (
      SELECT done.id
      FROM upkeep AS done
      WHERE done.task = t.task
        AND done.completed_at IS NOT NULL
        AND done.error IS NULL
      ORDER BY done.started_at DESC
      LIMIT 1
  )

-- name: resolved_rejections
SELECT t.ctid
FROM rejected_diamonds AS t
WHERE t.resolved_at < %(before)s
ORDER BY t.resolved_at

-- name: unreadable_rejections
-- An item without an identity has a row under a made-up id for each run that met it. A complete full run settles those of
-- before; where none comes they go by their age. Nothing refers to such an id, and no replay takes the row.
SELECT t.ctid
FROM rejected_diamonds AS t
WHERE NOT t.readable
  AND t.resolved_at IS NULL
  AND t.last_seen_at < %(before)s

-- name: gone_rejections
-- Still in quarantine and gone from the supplier: removed, or of a stone that never was a diamond, which no run removes,
-- last seen before a complete full run that did not meet it. A diamond that is still on sale is a full run's business.
SELECT w.feed, w.supplier_stone_id
FROM rejected_diamonds AS r
JOIN raw_diamonds AS w ON w.feed = r.feed AND w.supplier_stone_id = r.supplier_stone_id
WHERE r.readable
  AND r.resolved_at IS NULL
  AND w.consolidated
  AND (
      w.removed_at < %(before)s
      OR (
          w.removed_at IS NULL
          AND w.last_seen_at < %(before)s
          AND EXISTS (
              SELECT FROM run_metadata AS full_run
              WHERE full_run.feed = w.feed
                AND full_run.run_type = 'full'
                AND full_run.state = 'completed'
                AND NOT full_run.forced
                AND full_run.started_at > w.last_seen_at
          )
      )
  )
  AND NOT EXISTS (
      SELECT FROM diamonds AS d
      WHERE d.feed = w.feed
        AND d.supplier_stone_id = w.supplier_stone_id
        AND d.status = 'active'
  )

-- name: forget_rejections
-- The raw row's lock keeps a worker that brings the stone again waiting: it comes back as one that was gone.
WITH batch AS (
    {selection}
    LIMIT %(limit)s
    FOR UPDATE OF w SKIP LOCKED
), marked AS (
    UPDATE raw_diamonds AS w
    SET removed_at = coalesce(w.removed_at, now())
    FROM batch AS b
    WHERE w.feed = b.feed
      AND w.supplier_stone_id = b.supplier_stone_id
)
DELETE FROM rejected_diamonds AS r
USING batch AS b
WHERE r.feed = b.feed
  AND r.supplier_stone_id = b.supplier_stone_id;

-- name: old_payloads
SELECT w.feed, w.supplier_stone_id
FROM raw_diamonds AS w
WHERE w.removed_at IS NOT NULL
  AND w.payload_hash <> ''
  AND w.removed_at < %(before)s
  AND w.consolidated
ORDER BY w.removed_at

-- name: drop_payloads
-- The row stays while there is a diamond, as what is known of the stone and as the lock that its purge takes; updated_at
-- says when the payload went. No answer has an empty hash, so that a stone that comes back is a changed one and is stored
-- and consolidated as a whole. Where no diamond was ever made, nothing needs the row.
WITH batch AS (
    {selection}
    LIMIT %(limit)s
    FOR UPDATE OF w SKIP LOCKED
), dropped AS (
    UPDATE raw_diamonds AS w
    SET payload = 'null',
        payload_hash = '',
        updated_at = now()
    FROM batch AS b
    WHERE w.feed = b.feed
      AND w.supplier_stone_id = b.supplier_stone_id
      AND EXISTS (SELECT FROM diamonds AS d WHERE d.feed = b.feed AND d.supplier_stone_id = b.supplier_stone_id)
), removed AS (
    DELETE FROM raw_diamonds AS w
    USING batch AS b
    WHERE w.feed = b.feed
      AND w.supplier_stone_id = b.supplier_stone_id
      AND NOT EXISTS (SELECT FROM diamonds AS d WHERE d.feed = b.feed AND d.supplier_stone_id = b.supplier_stone_id)
)
SELECT count(*) AS rows
FROM batch;

-- name: deleted_stones
-- Those of %(kept)s were looked at already this time. By key as well as by id: a hold or an order may be older than the diamond. In no order: sorting would go through all of
-- them for each batch.
SELECT d.id, d.feed, d.supplier_stone_id
FROM diamonds AS d
JOIN raw_diamonds AS w ON w.feed = d.feed AND w.supplier_stone_id = d.supplier_stone_id
WHERE d.status = 'deleted'
  AND d.deleted_at < %(before)s
  AND d.id <> ALL (%(kept)s::uuid[])
  AND w.removed_at IS NOT NULL
  AND w.consolidated
  AND NOT EXISTS (SELECT FROM hold_history AS h WHERE h.diamond_id = d.id)
  AND NOT EXISTS (SELECT FROM purchase_history AS o WHERE o.diamond_id = d.id)
  AND NOT EXISTS (
      SELECT FROM hold_history AS h WHERE h.feed = d.feed AND h.supplier_stone_id = d.supplier_stone_id
  )
  AND NOT EXISTS (
      SELECT FROM purchase_history AS o WHERE o.feed = d.feed AND o.supplier_stone_id = d.supplier_stone_id
  )
  AND NOT EXISTS (
      SELECT FROM availability_marks AS m WHERE m.feed = d.feed AND m.supplier_stone_id = d.supplier_stone_id
  )

-- name: choose_stones
-- Before they are locked: what refers to them is found out one by one.
{selection}
LIMIT %(limit)s;

-- name: purge_stones
-- The raw row first, as consolidation locks them: it learns under that lock whether the diamond exists, so a stone that
-- comes back meanwhile finds both or neither.
WITH batch AS (
    {selection}
      AND d.id = ANY (%(chosen)s::uuid[])
    FOR UPDATE OF w, d SKIP LOCKED
), raw AS (
    DELETE FROM raw_diamonds AS w
    USING batch AS b
    WHERE w.feed = b.feed
      AND w.supplier_stone_id = b.supplier_stone_id
), rejected AS (
    DELETE FROM rejected_diamonds AS r
    USING batch AS b
    WHERE r.feed = b.feed
      AND r.supplier_stone_id = b.supplier_stone_id
)
DELETE FROM diamonds AS d
USING batch AS b
WHERE d.id = b.id
RETURNING d.id, d.feed;

-- name: old_runs
-- What stays, however old: the newest run of a feed, which alone can be retried; its newest failure; the newest complete
-- one of each type, from which the next run goes on and by which a second full run decides what is gone; removals that
-- wait for a person, as long as no later full run has asked the same anew; and the run that the watermark names.
SELECT t.run_id
FROM run_metadata AS t
WHERE t.started_at < %(before)s
  AND t.state IN ('completed', 'failed', 'cancelled')
  AND t.run_id::text <> ALL (%(named)s::text[])
  AND (t.removals_accepted_at IS NULL OR t.removals_settled_at IS NOT NULL)
  AND EXISTS (
      SELECT FROM run_metadata AS newer
      WHERE newer.feed = t.feed
        AND newer.started_at > t.started_at
        AND NOT newer.is_replay
  )
  AND (
      t.state <> 'failed'
      OR EXISTS (
          SELECT FROM run_metadata AS newer
          WHERE newer.feed = t.feed
            AND newer.started_at > t.started_at
            AND newer.state = 'failed'
      )
  )
  AND (
      t.state <> 'completed'
      OR EXISTS (
          SELECT FROM run_metadata AS newer
          WHERE newer.feed = t.feed
            AND newer.run_type = t.run_type
            AND newer.started_at > t.started_at
            AND newer.state = 'completed'
            AND NOT newer.forced
            AND NOT newer.is_replay
      )
  )
  AND (
      NOT EXISTS (SELECT FROM removal_candidates AS c WHERE c.run_id = t.run_id AND c.state = 'guarded')
      OR EXISTS (
          SELECT FROM run_metadata AS newer
          WHERE newer.feed = t.feed
            AND newer.run_type = 'full'
            AND newer.started_at > t.started_at
            AND newer.state = 'completed'
            AND NOT newer.forced
      )
  )
ORDER BY t.started_at

-- name: take_old_run
{selection}
LIMIT 1
FOR UPDATE OF t SKIP LOCKED;

-- name: delete_candidates
-- A run that missed many stones has a row for each: they go before it, a batch at a time.
DELETE FROM removal_candidates
WHERE run_id = %(run_id)s
  AND supplier_stone_id IN (
      SELECT supplier_stone_id
      FROM removal_candidates
      WHERE run_id = %(run_id)s
      ORDER BY supplier_stone_id
      LIMIT %(limit)s
  );

-- name: delete_run
-- Its partitions, attempts and warnings go with it.
DELETE FROM run_metadata
WHERE run_id = %(run_id)s;

-- name: bloated_tables
-- Ours, where a twentieth of the rows or more is dead. Autovacuum begins at a fifth, which of a million is a lot to leave.
SELECT schemaname, relname, n_dead_tup AS dead
FROM pg_stat_user_tables
WHERE (
      (schemaname = 'public' AND relname = ANY (%(tables)s))
      OR (schemaname = 'pgmq' AND relname = ANY (%(queue_tables)s))
  )
  AND n_dead_tup >= %(fewest)s
  AND n_dead_tup >= %(share)s::numeric * n_live_tup
ORDER BY n_dead_tup DESC;

-- name: begin_upkeep
INSERT INTO upkeep (task, started_at)
VALUES (%(task)s, clock_timestamp())
RETURNING id;

-- name: end_upkeep
UPDATE upkeep
SET completed_at = clock_timestamp(),
    rows_affected = %(rows)s,
    details = %(details)s,
    error = %(error)s
WHERE id = %(id)s;

-- name: record_upkeep
INSERT INTO upkeep (task, started_at, completed_at, rows_affected, details, error)
VALUES (
    %(task)s, statement_timestamp() - %(took)s::interval, statement_timestamp(), 0, %(details)s, %(error)s
);

-- name: newest_upkeep
-- By the database's clock, which also stamps the starts. One without an end was cut off, or goes on: whoever asks has
-- the duty, so it was cut off.
SELECT
    wanted.task,
    clock_timestamp() AS now,
    max(u.started_at) FILTER (WHERE u.completed_at IS NOT NULL AND u.error IS NULL) AS succeeded_at,
    max(u.started_at) FILTER (WHERE u.error IS NOT NULL) AS failed_at
FROM unnest(%(tasks)s::text[]) AS wanted (task)
LEFT JOIN upkeep AS u ON u.task = wanted.task AND u.started_at <= clock_timestamp()
GROUP BY wanted.task;
