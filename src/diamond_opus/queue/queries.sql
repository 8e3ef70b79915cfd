-- Settlements are fenced here and not by pgmq.delete or pgmq.set_vt, which know only the message's number and would
-- let a late worker touch a message that another one has. read_ct grows with every lease; vt is where the lease ends;
-- last_read_at is empty once a lease was given back, so that vt can then be the end of a delay.

-- name: send_messages
-- The array's order becomes the order of delivery.
SELECT pgmq.send_batch(
    %(queue)s,
    %(bodies)s::jsonb[],
    %(headers)s::jsonb[],
    clock_timestamp() + %(delay)s::interval
)

-- name: lease_messages
SELECT msg_id, read_ct, message, headers
FROM pgmq.read(%(queue)s, %(lease_seconds)s::integer, %(batch_size)s::integer)
ORDER BY msg_id

-- name: complete_message
DELETE FROM {queue}
WHERE msg_id = %(msg_id)s
  AND read_ct = %(read_ct)s
  AND last_read_at IS NOT NULL
  AND vt > clock_timestamp()
RETURNING msg_id

-- name: abandon_message
-- Visible again after the delay; only for who holds its lease.
UPDATE {queue}
SET vt = clock_timestamp() + %(delay)s::interval,
    last_read_at = NULL
WHERE msg_id = %(msg_id)s
  AND read_ct = %(read_ct)s
  AND last_read_at IS NOT NULL
  AND vt > clock_timestamp()
RETURNING msg_id

-- name: renew_message
-- A lease that ran out cannot be renewed: somebody else may have the message by now.
UPDATE {queue}
SET vt = clock_timestamp() + %(lease)s::interval
WHERE msg_id = %(msg_id)s
  AND read_ct = %(read_ct)s
  AND last_read_at IS NOT NULL
  AND vt > clock_timestamp()
RETURNING msg_id

-- name: dead_letter_message
-- Out of the one queue and into the other in one statement: never lost, never in both.
WITH gone AS (
    DELETE FROM {queue}
    WHERE msg_id = %(msg_id)s
      AND read_ct = %(read_ct)s
      AND last_read_at IS NOT NULL
      AND vt > clock_timestamp()
    RETURNING message, headers
)
SELECT pgmq.send(
    %(dead_queue)s,
    message,
    -- Another program's headers may be anything.
    CASE WHEN jsonb_typeof(headers) = 'object' THEN headers ELSE jsonb_build_object() END || %(why)s::jsonb,
    0
)
FROM gone

-- name: list_dead_letters
SELECT msg_id, message, headers
FROM {dead_queue}
ORDER BY msg_id
LIMIT %(batch_size)s

-- name: replay_dead_letter
WITH gone AS (
    DELETE FROM {dead_queue}
    WHERE msg_id = %(msg_id)s
    RETURNING message, headers
)
SELECT pgmq.send(%(queue)s, message, headers - 'deadLetter', 0)
FROM gone

-- name: count_dead_letters
-- A dead letter's own time in its queue begins when it is set aside.
SELECT count(*) AS dead
FROM {dead_queue}
WHERE enqueued_at < %(before)s

-- name: purge_dead_letters
-- Oldest first, by number: a batch reads the front of the key's index alone. One that is being replayed stays.
WITH batch AS (
    SELECT msg_id
    FROM {dead_queue}
    WHERE enqueued_at < %(before)s
    ORDER BY msg_id
    LIMIT %(batch_size)s
    FOR UPDATE SKIP LOCKED
)
DELETE FROM {dead_queue} AS gone
USING batch
WHERE gone.msg_id = batch.msg_id
RETURNING gone.msg_id

-- name: measure_queue
SELECT
    live.queue_visible_length AS visible,
    live.queue_length - live.queue_visible_length AS hidden,
    coalesce(live.oldest_msg_age_sec, 0) AS oldest_age_seconds,
    dead.queue_length AS dead
FROM pgmq.metrics(%(queue)s) AS live, pgmq.metrics(%(dead_queue)s) AS dead
