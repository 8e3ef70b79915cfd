-- name: insert_run
-- Fails on run_metadata_one_active_per_feed while another run of the feed is active. A run without partitions has
-- nothing to ingest and waits for consolidation at once.
INSERT INTO run_metadata (
    run_id, feed, run_type, is_replay, state, expected_workers, watermark_before, updated_from, updated_to, trace_id,
    expected_records, ingest_completed_at, time_limit, deadline_at
)
VALUES (
    coalesce(%(run_id)s, gen_random_uuid()), %(feed)s, %(run_type)s, %(is_replay)s, CASE WHEN %(workers)s = 0 THEN 'ingested' ELSE 'planned' END, %(workers)s,
    %(watermark_before)s, %(updated_from)s, %(updated_to)s, %(trace_id)s, %(expected_records)s,
    CASE WHEN %(workers)s = 0 THEN now() END, %(time_limit)s::interval, clock_timestamp() + %(time_limit)s::interval
)
RETURNING run_id;

-- name: insert_partitions
-- All partitions of a run in one statement: ten thousand of them would be as many exchanges.
INSERT INTO partition_progress (run_id, partition_id, kind, lab_grown, price_from, price_to, expected_records)
SELECT %(run_id)s, planned.*
FROM unnest(
    %(partition_ids)s::text[], %(kinds)s::text[], %(lab_grown)s::boolean[], %(prices_from)s::integer[],
    %(prices_to)s::integer[], %(expected_records)s::bigint[]
) AS planned;

-- name: get_run
SELECT
    run_id, feed, run_type, state, expected_workers, completed_workers, failed_workers, watermark_before,
    watermark_after, updated_from, updated_to, trace_id, forced, is_replay, expected_records, fetched_records,
    distinct_records, unchanged_records, rejected_records, unreadable_records, removed_records, removals_accepted_at,
    removals_settled_at, consolidation_processed, consolidation_errors, consolidation_total, error, started_at,
    ingest_completed_at, consolidation_started_at, consolidation_completed_at, completed_at, deadline_at, is_partial
FROM run_overview
WHERE run_id = %(run_id)s;

-- name: find_active_run
SELECT run_id
FROM run_metadata
WHERE feed = %(feed)s
  AND state IN ('planned', 'ingesting', 'ingested', 'consolidating');

-- name: is_complete
SELECT EXISTS (
    SELECT FROM run_metadata
    WHERE run_id::text = %(run_id)s
      AND state = 'completed'
);

-- name: newest_watermark
-- Up to when the newest complete run has read: where the watermark was when it ended, for a person may have set it back
-- while it ran, and never past its planning: it may have found one that belongs to another state of the database.
SELECT least(watermark_after, updated_to)
FROM run_metadata
WHERE feed = %(feed)s
  AND state = 'completed'
  AND watermark_after IS NOT NULL
ORDER BY completed_at DESC
LIMIT 1;

-- name: list_partitions
SELECT
    run_id, partition_id, kind, lab_grown, price_from, price_to, state, expected_records, fetched_records,
    distinct_records, unchanged_records, unreadable_records, pages_read, count_disputed, notes, attempts, last_error,
    next_attempt_at, started_at, completed_at
FROM partition_progress
WHERE run_id = %(run_id)s
ORDER BY partition_id;

-- name: claim_partition
-- Lease a partition that is due, or whose holder stopped renewing. Taking over from a dead holder counts as a
-- failure; progress sets the count back. It was the database that was away, and nobody dead, when the holder itself is
-- back, or the lease lapsed before the server was started. The catch-up waits until every range has been read.
UPDATE partition_progress AS p
SET state = 'running',
    attempts = p.attempts + 1,
    failures = p.failures + (
        p.state = 'running'
        AND p.worker_id IS DISTINCT FROM %(worker_id)s
        AND p.lease_expires_at > pg_postmaster_start_time()
    )::int,
    lease_token = gen_random_uuid(),
    lease_expires_at = clock_timestamp() + %(lease)s,
    worker_id = %(worker_id)s,
    next_attempt_at = NULL,
    started_at = coalesce(p.started_at, clock_timestamp()),
    updated_at = clock_timestamp()
FROM run_metadata AS r
WHERE p.run_id = %(run_id)s
  AND p.partition_id = %(partition_id)s
  AND r.run_id = p.run_id
  AND r.state IN ('planned', 'ingesting')
  AND (
      (p.state = 'pending' AND (p.next_attempt_at IS NULL OR p.next_attempt_at <= clock_timestamp()))
      OR (p.state = 'running' AND p.lease_expires_at < clock_timestamp())
  )
  AND (
      p.kind = 'range'
      OR NOT EXISTS (
          SELECT FROM partition_progress AS other
          WHERE other.run_id = p.run_id
            AND other.kind = 'range'
            AND other.state <> 'completed'
      )
  )
RETURNING
    p.run_id, p.partition_id, r.feed, p.kind = 'catch_up' AS is_catch_up, p.lab_grown, p.price_from, p.price_to,
    r.updated_from, r.updated_to, r.trace_id, p.cursor, p.commits, p.attempts AS attempt, p.failures, p.lease_token,
    clock_timestamp() AS database_time;

-- name: close_abandoned_attempts
UPDATE worker_runs
SET status = 'failed',
    error_message = 'the worker stopped renewing its lease',
    completed_at = clock_timestamp()
WHERE run_id = %(run_id)s
  AND partition_id = %(partition_id)s
  AND status = 'running';

-- name: insert_attempt
INSERT INTO worker_runs (run_id, partition_id, attempt, worker_id, status, work_item_payload)
VALUES (%(run_id)s, %(partition_id)s, %(attempt)s, %(worker_id)s, 'running', %(payload)s);

-- name: start_ingesting
UPDATE run_metadata
SET state = 'ingesting'
WHERE run_id = %(run_id)s
  AND state = 'planned';

-- name: leases_held
-- Partitions that somebody holds, or held until it died, and when the last of their leases ends.
SELECT
    count(*) AS partitions,
    coalesce(extract(EPOCH FROM max(lease_expires_at) - clock_timestamp()), 0)::float8 AS seconds
FROM partition_progress
WHERE run_id = %(run_id)s
  AND lease_expires_at > clock_timestamp();

-- name: renew_partition
UPDATE partition_progress AS p
SET lease_expires_at = clock_timestamp() + %(lease)s
FROM run_metadata AS r
WHERE p.run_id = %(run_id)s
  AND p.partition_id = %(partition_id)s
  AND p.lease_token = %(lease_token)s
  AND r.run_id = p.run_id
  AND r.state = 'ingesting'
RETURNING 1;

-- name: advance_partition
-- The fence: no row comes back when the lease is another's or the run is no longer ingesting, and the caller's
-- transaction, with the raw rows it wrote, is rolled back; nor when this commit, by its number, happened already. Only a
-- cursor that moved is progress: rows stored on the way through a range that is never finished are read again by every
-- attempt.
UPDATE partition_progress AS p
SET cursor = %(cursor)s,
    commits = p.commits + 1,
    fetched_records = p.fetched_records + %(fetched)s,
    distinct_records = p.distinct_records + %(distinct)s,
    unreadable_records = p.unreadable_records + %(unreadable)s,
    pages_read = p.pages_read + %(pages)s,
    count_disputed = p.count_disputed OR %(disputed)s,
    notes = p.notes || %(notes)s,
    failures = CASE WHEN p.cursor = %(cursor)s THEN p.failures ELSE 0 END,
    lease_expires_at = clock_timestamp() + %(lease)s,
    updated_at = clock_timestamp()
FROM run_metadata AS r
WHERE p.run_id = %(run_id)s
  AND p.partition_id = %(partition_id)s
  AND p.lease_token = %(lease_token)s
  AND p.commits = %(number)s
  AND r.run_id = p.run_id
  AND r.state = 'ingesting'
RETURNING 1;

-- name: has_advanced
-- A commit whose answer was lost, looked for by its number.
SELECT 1
FROM partition_progress
WHERE run_id = %(run_id)s
  AND partition_id = %(partition_id)s
  AND lease_token = %(lease_token)s
  AND commits = %(number)s + 1;

-- name: note_stored
-- What is only known once the rows are stored, in the transaction that advanced the partition.
UPDATE partition_progress
SET unchanged_records = unchanged_records + %(unchanged)s,
    unreadable_records = unreadable_records + %(unreadable)s
WHERE run_id = %(run_id)s
  AND partition_id = %(partition_id)s
  AND lease_token = %(lease_token)s;

-- name: count_failures
SELECT failures
FROM partition_progress
WHERE run_id = %(run_id)s
  AND partition_id = %(partition_id)s
  AND lease_token = %(lease_token)s;

-- name: leave_partition
-- End an attempt: completed, failed for good, or pending again (given back, or after a back-off).
UPDATE partition_progress
SET state = %(state)s,
    lease_token = NULL,
    lease_expires_at = NULL,
    failures = failures + %(failures)s,
    next_attempt_at = clock_timestamp() + %(delay)s::interval,
    last_error = coalesce(%(error)s, CASE WHEN %(state)s = 'completed' THEN NULL ELSE last_error END),
    completed_at = CASE WHEN %(state)s = 'completed' THEN clock_timestamp() END,
    updated_at = clock_timestamp()
WHERE run_id = %(run_id)s
  AND partition_id = %(partition_id)s
  AND lease_token = %(lease_token)s
RETURNING attempts;

-- name: finish_attempt
UPDATE worker_runs AS w
SET status = %(status)s,
    error_message = %(error)s,
    records_processed = p.distinct_records,
    completed_at = clock_timestamp()
FROM partition_progress AS p
WHERE w.run_id = %(run_id)s
  AND w.partition_id = %(partition_id)s
  AND w.attempt = %(attempt)s
  AND p.run_id = w.run_id
  AND p.partition_id = w.partition_id;

-- name: lock_run
SELECT state, feed, run_type, forced, updated_to
FROM run_metadata
WHERE run_id = %(run_id)s
FOR UPDATE;

-- name: has_unsettled
-- Read under the run's row lock: whoever settles the last partition sees all the others. A catch-up under way is
-- waited for like a range; one that waits for a failed range would wait for ever. The index of the unfinished makes
-- this cheap while thousands of partitions are still to be read.
SELECT EXISTS (
    SELECT FROM partition_progress
    WHERE run_id = %(run_id)s
      AND state IN ('pending', 'running')
      AND (state = 'running' OR kind = 'range')
);

-- name: tally_partitions
SELECT
    count(*) FILTER (WHERE kind = 'range') AS ranges,
    count(*) FILTER (WHERE kind = 'range' AND state = 'completed') AS completed_ranges,
    count(*) FILTER (WHERE state = 'failed') AS failed,
    count(*) FILTER (WHERE kind = 'catch_up' AND state IN ('pending', 'running')) AS open_catch_up,
    coalesce(
        string_agg(partition_id || ': ' || coalesce(last_error, 'no reason'), '; ' ORDER BY partition_id)
            FILTER (WHERE state = 'failed'),
        ''
    ) AS reasons
FROM partition_progress
WHERE run_id = %(run_id)s;

-- name: fail_ingestion
UPDATE run_metadata
SET state = 'failed',
    failure = 'consolidation_skipped',
    told_at = NULL,
    error = %(error)s
WHERE run_id = %(run_id)s;

-- name: finish_ingestion
-- distinct and unchanged are counted over the raw table, once, because two partitions may have read the same stone.
-- With an error, the run goes on without the ranges that failed.
UPDATE run_metadata AS r
SET state = 'ingested',
    is_partial = %(error)s::text IS NOT NULL,
    error = %(error)s,
    ingest_completed_at = clock_timestamp(),
    woken_at = NULL,
    fetched_records = read.fetched,
    unreadable_records = read.unreadable,
    distinct_records = seen.distinct_stones,
    unchanged_records = seen.unchanged
FROM (
    SELECT coalesce(sum(fetched_records), 0) AS fetched, coalesce(sum(unreadable_records), 0) AS unreadable
    FROM partition_progress
    WHERE run_id = %(run_id)s
) AS read, (
    SELECT count(*) AS distinct_stones, count(*) FILTER (WHERE run_id <> %(run_id)s) AS unchanged
    FROM raw_diamonds
    WHERE feed = %(feed)s
      AND last_seen_run_id = %(run_id)s
) AS seen
WHERE r.run_id = %(run_id)s;

-- name: take_due_partitions
-- Partitions whose wake-up was lost, used up, or is due again, those that waited longest first. Counting the wake
-- makes its message a new one. The limit keeps a long queue from being sent again and again.
WITH due AS (
    SELECT p.run_id, p.partition_id
    FROM partition_progress AS p
    JOIN run_metadata AS r ON r.run_id = p.run_id
    WHERE r.state IN ('planned', 'ingesting')
      AND (%(feed)s::text IS NULL OR r.feed = %(feed)s)
      AND p.state IN ('pending', 'running')
      AND (p.woken_at IS NULL OR p.woken_at < clock_timestamp() - %(quiet)s::interval)
      AND (
          (p.state = 'pending' AND (p.next_attempt_at IS NULL OR p.next_attempt_at <= clock_timestamp()))
          OR (p.state = 'running' AND p.lease_expires_at < clock_timestamp())
      )
      AND (
          p.kind = 'range'
          OR NOT EXISTS (
              SELECT FROM partition_progress AS other
              WHERE other.run_id = p.run_id
                AND other.kind = 'range'
                AND other.state <> 'completed'
          )
      )
    ORDER BY p.woken_at NULLS FIRST, p.run_id, p.partition_id
    LIMIT %(limit)s
    FOR UPDATE OF p SKIP LOCKED
)
UPDATE partition_progress AS p
SET woken_at = clock_timestamp(),
    wakes = p.wakes + 1
FROM due, run_metadata AS r
WHERE p.run_id = due.run_id
  AND p.partition_id = due.partition_id
  AND r.run_id = p.run_id
RETURNING
    p.run_id, p.partition_id, r.feed, r.trace_id, p.lab_grown, p.price_from, p.price_to, p.expected_records,
    r.updated_from, r.updated_to, p.wakes;

-- name: take_catch_up
-- The catch-ups of a run whose last range has just been read, and which nobody was woken for yet. Asked at the end of
-- each range, so it must not look at the thousands that are left: the index of the unfinished finds one at once.
UPDATE partition_progress AS p
SET woken_at = clock_timestamp(),
    wakes = p.wakes + 1
FROM run_metadata AS r
WHERE p.run_id = %(run_id)s
  AND p.kind = 'catch_up'
  AND p.state = 'pending'
  AND p.woken_at IS NULL
  AND r.run_id = p.run_id
  AND r.state = 'ingesting'
  AND r.failed_workers = 0
  AND NOT EXISTS (
      SELECT FROM partition_progress AS range
      WHERE range.run_id = %(run_id)s
        AND range.kind = 'range'
        AND range.state IN ('pending', 'running')
  )
RETURNING
    p.run_id, p.partition_id, r.feed, r.trace_id, p.lab_grown, p.price_from, p.price_to, p.expected_records,
    r.updated_from, r.updated_to, p.wakes;

-- name: release_orphans
-- A partition that was claimed while its run was being closed, or while its time ran out: nobody reads it, and nothing
-- else would ever end it.
WITH released AS (
    UPDATE partition_progress AS p
    SET state = 'pending',
        lease_token = NULL,
        lease_expires_at = NULL,
        updated_at = clock_timestamp()
    FROM run_metadata AS r
    WHERE r.run_id = p.run_id
      AND r.state IN ('completed', 'failed', 'cancelled')
      AND p.state = 'running'
    RETURNING p.run_id, p.partition_id
)
UPDATE worker_runs AS w
SET status = 'failed',
    error_message = 'the run was closed',
    completed_at = clock_timestamp()
FROM released AS o
WHERE w.run_id = o.run_id
  AND w.partition_id = o.partition_id
  AND w.status = 'running';

-- name: take_due_runs
-- Runs that wait for consolidation, for its end, or for removals that a person accepted.
UPDATE run_metadata
SET woken_at = clock_timestamp(),
    wakes = wakes + 1
WHERE (
      state IN ('ingested', 'consolidating')
      OR (removals_accepted_at IS NOT NULL AND removals_settled_at IS NULL)
  )
  AND (%(feed)s::text IS NULL OR feed = %(feed)s)
  AND (next_attempt_at IS NULL OR next_attempt_at <= clock_timestamp())
  AND (finalise_expires_at IS NULL OR finalise_expires_at < clock_timestamp())
  AND (woken_at IS NULL OR woken_at < clock_timestamp() - %(quiet)s::interval)
RETURNING run_id, feed, trace_id, forced, wakes;

-- name: overdue_runs
SELECT run_id
FROM run_metadata
WHERE state IN ('planned', 'ingesting', 'ingested', 'consolidating')
  AND deadline_at < clock_timestamp()
  AND (%(feed)s::text IS NULL OR feed = %(feed)s);

-- name: time_out_run
-- Whoever ends the run just now has its row locked, and comes first: then the run is over and no row comes back.
UPDATE run_metadata
SET state = 'failed',
    failure = 'run_timed_out',
    told_at = NULL,
    error = %(error)s,
    finalise_token = NULL,
    finalise_expires_at = NULL
WHERE run_id = %(run_id)s
  AND state IN ('planned', 'ingesting', 'ingested', 'consolidating')
  AND deadline_at < clock_timestamp()
RETURNING 1;

-- name: untold_failures
SELECT run_id, failure
FROM run_metadata
WHERE state = 'failed'
  AND failure IS NOT NULL
  AND told_at IS NULL
  AND (%(feed)s::text IS NULL OR feed = %(feed)s)
ORDER BY started_at;

-- name: mark_told
UPDATE run_metadata
SET told_at = clock_timestamp()
WHERE run_id = %(run_id)s
  AND failure = %(failure)s;

-- name: take_duty
-- One process at a time does a periodic duty; a holder that died is replaced when its time is over, or lies further ahead
-- than any holder puts it: then the clock was set back.
INSERT INTO duties (duty, holder, expires_at)
VALUES (%(duty)s, %(holder)s, clock_timestamp() + %(lease)s)
ON CONFLICT (duty) DO UPDATE
SET holder = EXCLUDED.holder,
    expires_at = EXCLUDED.expires_at
WHERE duties.holder = EXCLUDED.holder
   OR duties.expires_at < clock_timestamp()
   OR duties.expires_at > clock_timestamp() + greatest(10 * %(lease)s::interval, interval '10 minutes')
RETURNING 1;

-- name: newer_run_exists
-- A replay read nothing, so it makes no older run pointless.
SELECT EXISTS (
    SELECT
    FROM run_metadata AS newer
    JOIN run_metadata AS this ON this.run_id = %(run_id)s
    WHERE newer.feed = this.feed
      AND newer.started_at > this.started_at
      AND NOT newer.is_replay
);

-- name: retry_partitions
-- Failed partitions start again at their cursor, with a full count of attempts. Those that a failed run never ended,
-- because its time was over, go on with them; a catch-up only when no range is left, for until then it waits.
UPDATE partition_progress AS p
SET state = 'pending',
    failures = 0,
    next_attempt_at = NULL,
    woken_at = NULL,
    updated_at = clock_timestamp()
WHERE p.run_id = %(run_id)s
  AND (
      p.state = 'failed'
      OR (
          p.state = 'pending'
          AND %(unfinished_too)s
          AND (
              p.kind = 'range'
              OR NOT EXISTS (
                  SELECT FROM partition_progress AS other
                  WHERE other.run_id = p.run_id
                    AND other.kind = 'range'
                    AND other.state <> 'completed'
              )
          )
      )
  )
  AND (%(partition_id)s::text IS NULL OR p.partition_id = %(partition_id)s)
RETURNING p.partition_id;

-- name: set_ingesting_again
-- What was consolidated without the failed ranges stays; the run is whole again when they are read.
UPDATE run_metadata
SET state = 'ingesting',
    is_partial = FALSE,
    failure = NULL,
    error = NULL,
    ingest_completed_at = NULL,
    consolidation_completed_at = NULL,
    deadline_at = clock_timestamp() + time_limit
WHERE run_id = %(run_id)s
  AND state = 'failed';

-- name: release_partitions
UPDATE partition_progress
SET state = 'pending',
    lease_token = NULL,
    lease_expires_at = NULL,
    updated_at = clock_timestamp()
WHERE run_id = %(run_id)s
  AND state = 'running';

-- name: close_open_attempts
UPDATE worker_runs
SET status = 'failed',
    error_message = %(error)s,
    completed_at = clock_timestamp()
WHERE run_id = %(run_id)s
  AND status = 'running';

-- name: close_run
UPDATE run_metadata
SET state = 'cancelled',
    error = %(error)s,
    completed_at = clock_timestamp()
WHERE run_id = %(run_id)s;

-- name: start_consolidating
UPDATE run_metadata
SET state = 'consolidating',
    forced = %(forced)s,
    is_partial = is_partial AND NOT %(forced)s,
    failure = NULL,
    deadline_at = CASE WHEN state = 'failed' THEN clock_timestamp() + time_limit ELSE deadline_at END,
    consolidation_started_at = coalesce(consolidation_started_at, clock_timestamp()),
    consolidation_total = consolidation_processed + (
        SELECT count(*) FROM raw_diamonds WHERE feed = %(feed)s AND NOT consolidated
    ),
    attempts = 0,
    next_attempt_at = NULL,
    error = CASE WHEN %(forced)s OR is_partial THEN error END
WHERE run_id = %(run_id)s;

-- name: take_run
-- A person's wake-up: due at once, whatever it was postponed for, and counted, so that its message is a new one.
UPDATE run_metadata
SET woken_at = clock_timestamp(),
    wakes = wakes + 1,
    next_attempt_at = NULL
WHERE run_id = %(run_id)s
RETURNING run_id, feed, trace_id, forced, wakes;

-- name: postponed_until
SELECT next_attempt_at
FROM run_metadata
WHERE run_id = %(run_id)s
  AND next_attempt_at > clock_timestamp();

-- name: take_finalisation
UPDATE run_metadata AS r
SET finalise_token = gen_random_uuid(),
    finalise_expires_at = clock_timestamp() + %(lease)s
WHERE r.run_id = %(run_id)s
  AND r.state = 'consolidating'
  AND (r.finalise_expires_at IS NULL OR r.finalise_expires_at < clock_timestamp())
  AND NOT EXISTS (
      SELECT FROM raw_diamonds AS w
      WHERE w.feed = r.feed
        AND NOT w.consolidated
  )
RETURNING r.finalise_token;

-- name: renew_finalisation
UPDATE run_metadata
SET finalise_expires_at = clock_timestamp() + %(lease)s
WHERE run_id = %(run_id)s
  AND finalise_token = %(token)s
  AND state = 'consolidating'
RETURNING 1;

-- name: complete_run
UPDATE run_metadata
SET state = 'completed',
    watermark_after = %(watermark_after)s,
    error = CASE WHEN forced THEN error END,
    attempts = 0,
    finalise_token = NULL,
    finalise_expires_at = NULL,
    consolidation_completed_at = clock_timestamp(),
    completed_at = clock_timestamp()
WHERE run_id = %(run_id)s
  AND finalise_token = %(token)s
  AND state = 'consolidating'
RETURNING 1;

-- name: end_partial_consolidation
-- What is complete is consolidated; the ranges that failed are still due, and only they are read by a retry.
UPDATE run_metadata
SET state = 'failed',
    failure = 'run_partial',
    told_at = NULL,
    error = %(error)s,
    attempts = 0,
    finalise_token = NULL,
    finalise_expires_at = NULL,
    consolidation_completed_at = clock_timestamp()
WHERE run_id = %(run_id)s
  AND finalise_token = %(token)s
  AND state = 'consolidating'
RETURNING 1;

-- name: resolve_superseded_unreadable
-- Null items of earlier runs: this full run has read every range anew and made its own list.
UPDATE rejected_diamonds AS old
SET resolved_at = now()
FROM run_metadata AS r
WHERE r.run_id = %(run_id)s
  AND r.run_type = 'full'
  AND NOT r.forced
  AND old.feed = r.feed
  AND NOT old.readable
  AND old.resolved_at IS NULL
  AND old.run_id <> r.run_id;

-- name: postpone_consolidation
-- Several that worked side by side may meet the same obstacle: while the run waits, nobody begins, so that whoever fails
-- then adds nothing to what is counted. What no retry can mend (an only attempt) fails the run all the same.
WITH failing AS (
    SELECT
        run_id, attempts,
        coalesce(%(max_attempts)s::integer > 1 AND next_attempt_at > clock_timestamp(), FALSE) AS is_repeated
    FROM run_metadata
    WHERE run_id = %(run_id)s
      AND state = 'consolidating'
    FOR UPDATE
), counted AS (
    SELECT
        run_id, is_repeated,
        attempts + (NOT is_repeated AND %(max_attempts)s::integer IS NOT NULL)::integer AS attempts,
        NOT is_repeated AND attempts + 1 >= %(max_attempts)s::integer IS TRUE AS is_last
    FROM failing
)
UPDATE run_metadata AS r
SET attempts = c.attempts,
    state = CASE WHEN c.is_last THEN 'failed' ELSE r.state END,
    failure = CASE WHEN c.is_last THEN 'consolidation_failed' END,
    told_at = NULL,
    error = %(error)s,
    next_attempt_at = CASE WHEN c.is_repeated THEN r.next_attempt_at
        ELSE clock_timestamp() + least(%(delay)s * power(2, least(r.attempts, 20)), %(longest)s) END,
    finalise_token = NULL,
    finalise_expires_at = NULL
FROM counted AS c
WHERE r.run_id = c.run_id
RETURNING r.state;

-- name: insert_density_scan
INSERT INTO density_scans (feed, lab_grown, total, cells, api_calls, scanned_at, run_id)
VALUES (%(feed)s, %(lab_grown)s, %(total)s, %(cells)s, %(api_calls)s, %(scanned_at)s, %(run_id)s);

-- name: latest_density_scan
SELECT cells
FROM density_scans
WHERE feed = %(feed)s
  AND lab_grown = %(lab_grown)s
ORDER BY scanned_at DESC
LIMIT 1;
