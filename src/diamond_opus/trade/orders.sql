-- name: find_by_key
-- What was answered to this idempotency key before.
SELECT {columns}
FROM purchase_history
WHERE client = %(client)s
  AND idempotency_key = %(idempotency_key)s;

-- name: live_order
-- The one order of a stone that stands in the way of another.
SELECT {columns}
FROM purchase_history
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s
  AND status IN ('sending', 'unknown', 'ordered', 'confirmed');

-- name: get_order
-- By the id that was promised to the client.
SELECT {columns}
FROM purchase_history
WHERE id = %(id)s;

-- name: insert_order
-- The intent, committed before the supplier is called. A known key, or a second live order of the stone, inserts nothing.
INSERT INTO purchase_history (
    diamond_id, feed, supplier_stone_id, offer_id, client, idempotency_key, body_hash, status,
    reference, comments, destination_id, return_option, max_price, lease_token, lease_expires_at
)
VALUES (
    %(diamond_id)s, %(feed)s, %(supplier_stone_id)s, %(offer_id)s, %(client)s, %(idempotency_key)s, %(body_hash)s,
    'sending', %(reference)s, %(comments)s, %(destination_id)s, %(return_option)s, %(max_price)s,
    %(lease_token)s, clock_timestamp() + %(lease)s
)
ON CONFLICT DO NOTHING
RETURNING {columns};

-- name: restart_order
-- An order that surely was not done is tried anew under its key.
UPDATE purchase_history
SET status = 'sending',
    offer_id = %(offer_id)s,
    attempts = attempts + 1,
    reason = NULL,
    feed_price = NULL,
    sent_at = NULL,
    looked_at = NULL,
    free_since = NULL,
    reported_at = NULL,
    lease_token = %(lease_token)s,
    lease_expires_at = clock_timestamp() + %(lease)s,
    updated_at = clock_timestamp()
WHERE id = %(id)s
  AND status = 'failed'
RETURNING {columns};

-- name: mark_sent
-- Committed before the order leaves. Nothing when the lease lapsed and somebody judged the order: then it must not leave.
UPDATE purchase_history
SET sent_at = clock_timestamp(),
    offer_id = %(offer_id)s,
    feed_price = %(feed_price)s,
    order_item_before = %(order_item_before)s,
    lease_expires_at = clock_timestamp() + %(lease)s,
    updated_at = clock_timestamp()
WHERE id = %(id)s
  AND status = 'sending'
  AND lease_token = %(lease_token)s
RETURNING {columns};

-- name: finish_order
-- By the attempt that holds the token, also when it took so long that the order counted as unknown meanwhile.
UPDATE purchase_history
SET status = %(status)s,
    feed_order_id = %(feed_order_id)s,
    reason = %(reason)s,
    updated_at = clock_timestamp()
WHERE id = %(id)s
  AND lease_token = %(lease_token)s
  AND (status = 'sending' OR (status = 'unknown' AND %(status)s IN ('ordered', 'refused')))
RETURNING {columns};

-- name: store_answer
UPDATE purchase_history
SET answer_status = %(answer_status)s,
    answer_body = %(answer_body)s
WHERE id = %(id)s
  AND answer_body IS NULL
RETURNING {columns};

-- name: renew_order_lease
UPDATE purchase_history
SET lease_expires_at = clock_timestamp() + %(lease)s
WHERE id = %(id)s
  AND lease_token = %(lease_token)s;

-- name: lapse_orders
-- Whoever ordered is gone. What never left was surely not done; of the rest nobody knows.
UPDATE purchase_history
SET status = CASE WHEN sent_at IS NULL THEN 'failed' ELSE 'unknown' END,
    reason = CASE WHEN sent_at IS NULL THEN 'the process stopped before anything was sent' ELSE reason END,
    updated_at = clock_timestamp()
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s
  AND status = 'sending'
  AND lease_expires_at < clock_timestamp()
RETURNING {columns};

-- name: unreported_orders
-- Lost answers that nobody was told of.
SELECT {columns}
FROM purchase_history
WHERE status = 'unknown'
  AND reported_at IS NULL
ORDER BY created_at;

-- name: mark_order_reported
UPDATE purchase_history
SET reported_at = clock_timestamp()
WHERE id = %(id)s;

-- name: orders_to_look_at
-- Lost answers, once they are reported, and orders that wait for the vendor; the older the question, the rarer the look.
SELECT {columns}
FROM purchase_history
WHERE (status = 'ordered' OR (status = 'unknown' AND reported_at IS NOT NULL))
  AND (
      looked_at IS NULL
      OR looked_at + least(
          greatest((clock_timestamp() - coalesce(sent_at, created_at)) / 10, %(soonest)s), %(latest)s
      ) <= clock_timestamp()
  )
ORDER BY status DESC, created_at
LIMIT %(limit)s;

-- name: note_order_look
UPDATE purchase_history
SET looked_at = clock_timestamp(),
    free_since = CASE WHEN %(is_free)s THEN coalesce(free_since, %(asked_at)s) END
WHERE id = %(id)s;

-- name: note_order_silence
UPDATE purchase_history
SET looked_at = clock_timestamp()
WHERE id = %(id)s;

-- name: resolve_order
UPDATE purchase_history
SET status = %(status)s,
    feed_order_id = coalesce(%(feed_order_id)s, feed_order_id),
    resolved_by = %(resolved_by)s,
    resolved_at = clock_timestamp(),
    resolved_how = %(resolved_how)s,
    resolution_note = %(note)s,
    updated_at = clock_timestamp()
WHERE id = %(id)s
  AND status = ANY (%(expected)s)
RETURNING {columns};
