-- name: to_address
-- What is open, for a channel may be new, and what nobody was addressed about yet. What was over before there was a
-- channel to tell is told for some days and not for ever. A test is told by who makes it, and by nobody later.
SELECT id
FROM incidents
WHERE event <> 'test'
  AND (
    resolved_at IS NULL
    OR (addressed_at IS NULL AND opened_at > clock_timestamp() - %(window)s::interval)
  )
ORDER BY addressed_at IS NOT NULL, opened_at, id
LIMIT 1000;

-- name: add_opened
-- Who was told of it under another id is told no more.
INSERT INTO alert_deliveries (incident_id, kind, channel, told_as)
SELECT i.id, 'opened', %(channel)s, i.id
FROM incidents AS i
WHERE i.id = ANY(%(ids)s)
  AND i.severity = ANY(%(severities)s)
  AND NOT EXISTS (
    SELECT
    FROM alert_deliveries AS d
    WHERE d.incident_id = i.id
      AND d.kind = 'opened'
      AND d.channel = %(channel)s
  )
ORDER BY i.opened_at, i.id
ON CONFLICT DO NOTHING;

-- name: add_told
INSERT INTO alert_deliveries (incident_id, kind, channel, told_as)
VALUES (%(incident_id)s, 'opened', %(channel)s, %(told_as)s)
ON CONFLICT DO NOTHING;

-- name: mark_addressed
UPDATE incidents
SET addressed_at = clock_timestamp()
WHERE id = ANY(%(ids)s)
  AND addressed_at IS NULL;

-- name: add_resolved
-- Who was told of the beginning, or will be, is told of the end, under each id that it has it by. now(), for an index
-- serves no time that differs from row to row, and this is asked every 5 s.
INSERT INTO alert_deliveries (incident_id, kind, channel, told_as)
SELECT o.incident_id, 'resolved', o.channel, o.told_as
FROM incidents AS i
JOIN alert_deliveries AS o ON o.incident_id = i.id AND o.kind = 'opened'
WHERE i.resolved_at > now() - %(window)s::interval
  AND (%(incident_id)s::uuid IS NULL OR i.id = %(incident_id)s)
  AND o.channel = ANY(%(channels)s)
  AND o.state <> 'abandoned'
  AND NOT EXISTS (
    SELECT
    FROM alert_deliveries AS r
    WHERE r.incident_id = o.incident_id
      AND r.kind = 'resolved'
      AND r.channel = o.channel
      AND r.told_as = o.told_as
  )
ORDER BY i.resolved_at, o.id
ON CONFLICT DO NOTHING;

-- name: settle_lapsed
-- A process that died while it was sending may have sent: its answer is lost. A test is sent by nobody else.
UPDATE alert_deliveries AS d
SET state = CASE WHEN d.unanswered > 0 OR i.event = 'test' THEN 'unknown' ELSE 'pending' END,
    settled_at = CASE WHEN d.unanswered > 0 OR i.event = 'test' THEN clock_timestamp() END,
    unanswered = d.unanswered + 1,
    next_attempt_at = clock_timestamp(),
    lease_token = NULL,
    lease_expires_at = NULL,
    last_error = 'the process died while it was sending'
FROM incidents AS i
WHERE i.id = d.incident_id
  AND d.state = 'sending'
  AND d.lease_expires_at < clock_timestamp()
RETURNING d.id, d.incident_id, d.kind, d.channel, d.state;

-- name: abandon_strangers
-- Of channels that are configured in no process any more: whoever has one tries it again within the longest back-off.
UPDATE alert_deliveries AS d
SET state = CASE WHEN d.unanswered > 0 THEN 'unknown' ELSE 'abandoned' END,
    settled_at = clock_timestamp(),
    last_error = coalesce(d.last_error, 'the channel is not configured any more')
WHERE d.state = 'pending'
  AND d.channel <> ALL(%(channels)s)
  AND NOT EXISTS (
    SELECT
    FROM alert_deliveries AS tried
    WHERE tried.channel = d.channel
      AND tried.state IN ('pending', 'sending')
      AND (tried.state = 'sending' OR tried.next_attempt_at > clock_timestamp() - %(unheard)s::interval)
  )
RETURNING d.id, d.incident_id, d.kind, d.channel, d.state;

-- name: give_up_old
-- What is over is worth telling for so long. What is still open is tried once more, however long nobody tried it.
UPDATE alert_deliveries AS d
SET state = CASE WHEN d.unanswered > 0 THEN 'unknown' ELSE 'abandoned' END,
    settled_at = clock_timestamp(),
    last_error = coalesce(d.last_error, 'it was over before anybody could be told')
FROM incidents AS i
WHERE i.id = d.incident_id
  AND i.resolved_at IS NOT NULL
  AND d.state = 'pending'
  AND d.created_at < clock_timestamp() - %(window)s::interval
RETURNING d.id, d.incident_id, d.kind, d.channel, d.state;

-- name: settle_restored
-- What was sent after the backup nobody knows any more, so of what is over nothing is sent. What may have arrived before
-- ends as unknown, and then has an end.
UPDATE alert_deliveries AS d
SET state = CASE WHEN d.state = 'sending' OR d.unanswered > 0 THEN 'unknown' ELSE 'abandoned' END,
    settled_at = clock_timestamp(),
    lease_token = NULL,
    lease_expires_at = NULL,
    last_error = %(reason)s
FROM incidents AS i
WHERE i.id = d.incident_id
  AND i.resolved_at IS NOT NULL
  AND d.state IN ('pending', 'sending');

-- name: tell_nobody_of_the_past
UPDATE incidents
SET addressed_at = clock_timestamp()
WHERE resolved_at IS NOT NULL
  AND addressed_at IS NULL;

-- name: settle_told
-- A beginning that the channel was told under another id meanwhile. Where an answer was lost it may have arrived under this
-- one too, and then has an end.
UPDATE alert_deliveries AS d
SET state = CASE WHEN d.unanswered > 0 THEN 'unknown' ELSE 'abandoned' END,
    settled_at = clock_timestamp(),
    last_error = 'the channel was told under another id'
WHERE d.kind = 'opened'
  AND d.state = 'pending'
  AND EXISTS (
    SELECT
    FROM alert_deliveries AS told
    WHERE told.incident_id = d.incident_id
      AND told.kind = 'opened'
      AND told.channel = d.channel
      AND told.state IN ('delivered', 'unknown')
  );

-- name: abandon_ends
-- Of a beginning that the channel was never told.
UPDATE alert_deliveries AS d
SET state = 'abandoned',
    settled_at = clock_timestamp(),
    last_error = 'the channel was not told of the beginning'
WHERE d.kind = 'resolved'
  AND d.state = 'pending'
  AND EXISTS (
    SELECT
    FROM alert_deliveries AS o
    WHERE o.incident_id = d.incident_id
      AND o.kind = 'opened'
      AND o.channel = d.channel
      AND o.told_as = d.told_as
      AND o.state = 'abandoned'
  );

-- name: claim_delivery
-- The next that is due for the channel; of a named incident also one that is not due yet, or that the channel was told
-- under another id. An end waits until its beginning is settled, and is not for a channel that was never told of that.
WITH due AS (
    SELECT d.id
    FROM alert_deliveries AS d
    WHERE d.channel = %(channel)s
      AND d.state = 'pending'
      AND CASE
        WHEN %(incident_id)s::uuid IS NOT NULL
          THEN d.incident_id = %(incident_id)s AND d.told_as = coalesce(%(told_as)s::uuid, d.told_as)
        WHEN d.next_attempt_at > clock_timestamp() THEN FALSE
        ELSE d.kind = 'resolved' OR NOT EXISTS (
          SELECT
          FROM alert_deliveries AS told
          WHERE told.incident_id = d.incident_id
            AND told.kind = 'opened'
            AND told.channel = d.channel
            AND told.state IN ('delivered', 'unknown')
        )
      END
      AND (d.kind = 'opened' OR NOT EXISTS (
        SELECT
        FROM alert_deliveries AS o
        WHERE o.incident_id = d.incident_id
          AND o.channel = d.channel
          AND o.kind = 'opened'
          AND o.told_as = d.told_as
          AND (o.settled_at IS NULL OR o.state = 'abandoned')
      ))
    ORDER BY d.next_attempt_at, d.id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
UPDATE alert_deliveries AS d
SET state = 'sending',
    attempts = d.attempts + 1,
    lease_token = gen_random_uuid(),
    lease_expires_at = clock_timestamp() + %(lease)s::interval
FROM due
WHERE d.id = due.id
RETURNING
    d.id, d.incident_id, d.kind, d.channel, d.told_as, d.attempts, d.unanswered, d.lease_token,
    clock_timestamp() - d.created_at AS age;

-- name: settle_delivery
-- Nothing when the lease was lost: then it was counted as unanswered already.
UPDATE alert_deliveries
SET state = %(state)s,
    settled_at = CASE WHEN %(state)s <> 'pending' THEN clock_timestamp() END,
    unanswered = unanswered + %(unanswered)s,
    next_attempt_at = clock_timestamp() + %(wait)s::interval,
    lease_token = NULL,
    lease_expires_at = NULL,
    last_error = %(error)s
WHERE id = %(id)s
  AND lease_token = %(token)s
RETURNING id;
