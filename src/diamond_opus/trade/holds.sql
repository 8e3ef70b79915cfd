-- name: live_hold
-- The one hold of a stone that stands in the way of another.
SELECT {columns}
FROM hold_history
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s
  AND status IN ('sending', 'active', 'unknown', 'releasing');

-- name: live_hold_of
-- By the stone's id in the catalogue, and only this client's.
SELECT {columns}
FROM hold_history
WHERE (feed, supplier_stone_id) = (SELECT feed, supplier_stone_id FROM diamonds WHERE id = %(diamond_id)s)
  AND client = %(client)s
  AND status IN ('sending', 'active', 'unknown', 'releasing');

-- name: get_hold
-- By its id here.
SELECT {columns}
FROM hold_history
WHERE id = %(id)s;

-- name: find_by_feed_hold
-- By the supplier's id of it, which it may use again.
SELECT {columns}
FROM hold_history
WHERE feed = %(feed)s
  AND feed_hold_id = %(feed_hold_id)s
ORDER BY created_at DESC
LIMIT 1;

-- name: insert_hold
-- The intent, committed before the supplier is called. A second live hold of the stone inserts nothing.
INSERT INTO hold_history (
    diamond_id, feed, supplier_stone_id, offer_id, client, status, by_hand, feed_hold_id, hold_until,
    lease_token, lease_expires_at, sent_at
)
VALUES (
    %(diamond_id)s, %(feed)s, %(supplier_stone_id)s, %(offer_id)s, %(client)s, %(status)s, %(by_hand)s,
    %(feed_hold_id)s, %(hold_until)s,
    %(lease_token)s, clock_timestamp() + %(lease)s, clock_timestamp()
)
ON CONFLICT DO NOTHING
RETURNING {columns};

-- name: move_hold
-- From one of the states named to another; nothing when somebody else moved it before.
UPDATE hold_history
SET status = %(status)s,
    denied = %(status)s = 'denied',
    feed_hold_id = coalesce(%(feed_hold_id)s, feed_hold_id),
    hold_until = coalesce(%(hold_until)s, hold_until),
    reason = coalesce(%(reason)s, reason),
    lease_token = %(lease_token)s,
    lease_expires_at = clock_timestamp() + %(lease)s,
    updated_at = clock_timestamp()
WHERE id = %(id)s
  AND status = ANY (%(expected)s)
RETURNING {columns};

-- name: renew_hold_lease
UPDATE hold_history
SET lease_expires_at = clock_timestamp() + %(lease)s
WHERE id = %(id)s
  AND lease_token = %(lease_token)s;

-- name: lapse_holds
-- Whoever asked the supplier is gone: what became of the hold is unknown.
UPDATE hold_history
SET status = 'unknown',
    updated_at = clock_timestamp()
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s
  AND status = 'sending'
  AND lease_expires_at < clock_timestamp()
RETURNING {columns};

-- name: expire_holds
-- A hold ends when its time is over, whatever the supplier's lists say meanwhile.
UPDATE hold_history
SET status = 'expired',
    updated_at = clock_timestamp()
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s
  AND (
      (status IN ('active', 'releasing') AND hold_until <= clock_timestamp())
      OR (status = 'unknown' AND sent_at + %(hold_time)s <= clock_timestamp())
  );

-- name: use_up_hold
-- The stone was ordered: its hold is of no use any more, and the supplier ended it with the order.
UPDATE hold_history
SET status = 'released',
    reason = 'the stone was ordered',
    updated_at = clock_timestamp()
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s
  AND status = 'active';

-- name: holds_to_look_at
-- Lost answers, once they are reported; ends that nobody waits for any more; and holds that are over while the catalogue
-- still has the supplier's word of them. The older the question, the rarer the look.
SELECT {columns}
FROM hold_history
WHERE (
      (status = 'unknown' AND reported_at IS NOT NULL)
      OR (status = 'releasing' AND lease_expires_at < clock_timestamp())
      OR (
          status IN ('released', 'expired')
          AND updated_at > clock_timestamp() - %(lately)s
          AND EXISTS (
              SELECT
              FROM diamonds AS d
              WHERE d.feed = hold_history.feed
                AND d.supplier_stone_id = hold_history.supplier_stone_id
                AND d.hold_id = hold_history.feed_hold_id
                AND d.feed_availability = 'on_hold'
          )
      )
  )
  AND (
      looked_at IS NULL
      OR looked_at + least(greatest((clock_timestamp() - sent_at) / 10, %(soonest)s), %(latest)s) <= clock_timestamp()
  )
ORDER BY created_at
LIMIT %(limit)s;

-- name: note_hold_look
UPDATE hold_history
SET looked_at = clock_timestamp(),
    free_since = CASE WHEN %(is_free)s THEN coalesce(free_since, %(asked_at)s) END
WHERE id = %(id)s;

-- name: note_hold_silence
UPDATE hold_history
SET looked_at = clock_timestamp()
WHERE id = %(id)s;

-- name: unreported_holds
-- Lost answers to holds that nobody was told of.
SELECT {columns}
FROM hold_history
WHERE status = 'unknown'
  AND reported_at IS NULL
ORDER BY created_at;

-- name: mark_hold_reported
UPDATE hold_history
SET reported_at = clock_timestamp()
WHERE id = %(id)s;
