-- name: lock_stone
-- Whoever trades a stone does it one after the other, also where the catalogue has no row to lock. Ends with the
-- transaction, so that it works through a pooler. The unique indexes hold even without it.
SELECT pg_advisory_xact_lock(hashtextextended(%(feed)s || ':' || %(supplier_stone_id)s, 6));

-- name: find_stone
SELECT
    id, feed, supplier_stone_id, offer_id, status = 'active' AS is_active,
    (feed_price * 100)::bigint AS feed_price_cents, availability, lab_grown
FROM diamonds
WHERE id = %(id)s;

-- name: derive_local
-- The local columns are never set from outside: they follow from the live order, the mark by hand and the live hold.
WITH derived AS (
    SELECT
        d.id,
        CASE
            WHEN o.status IN ('ordered', 'confirmed') OR m.availability = 'sold' THEN 'sold'
            WHEN o.id IS NOT NULL THEN 'on_hold'
            WHEN m.availability = 'unavailable' THEN 'unavailable'
            WHEN h.id IS NOT NULL THEN 'on_hold'
        END AS local_status,
        CASE WHEN o.id IS NULL AND m.availability IS NULL THEN h.hold_until END AS local_hold_until
    FROM diamonds AS d
    LEFT JOIN purchase_history AS o
        ON o.feed = d.feed
        AND o.supplier_stone_id = d.supplier_stone_id
        AND o.status IN ('sending', 'unknown', 'ordered', 'confirmed')
    LEFT JOIN hold_history AS h
        ON h.feed = d.feed
        AND h.supplier_stone_id = d.supplier_stone_id
        AND h.status IN ('sending', 'active', 'unknown', 'releasing')
    LEFT JOIN availability_marks AS m
        ON m.feed = d.feed
        AND m.supplier_stone_id = d.supplier_stone_id
    WHERE d.feed = %(feed)s
      AND d.supplier_stone_id = %(supplier_stone_id)s
)
UPDATE diamonds AS d
SET local_status = n.local_status,
    local_status_at = CASE
        WHEN d.local_status IS DISTINCT FROM n.local_status THEN clock_timestamp() ELSE d.local_status_at
    END,
    local_hold_until = n.local_hold_until,
    updated_at = clock_timestamp()
FROM derived AS n
WHERE d.id = n.id
  AND (d.local_status, d.local_hold_until) IS DISTINCT FROM (n.local_status, n.local_hold_until)
RETURNING d.id;

-- name: due_stones
-- Whose asker is gone (its lease lapsed), whose hold is over, and what came into the catalogue after it was traded.
SELECT feed, supplier_stone_id
FROM (
    SELECT feed, supplier_stone_id
    FROM purchase_history
    WHERE status = 'sending'
      AND lease_expires_at < clock_timestamp()
    UNION
    SELECT feed, supplier_stone_id
    FROM hold_history
    WHERE (status = 'sending' AND lease_expires_at < clock_timestamp())
       OR (status IN ('active', 'releasing') AND hold_until <= clock_timestamp())
       OR (status = 'unknown' AND sent_at + %(hold_time)s <= clock_timestamp())
    UNION
    SELECT o.feed, o.supplier_stone_id
    FROM purchase_history AS o
    JOIN diamonds AS d ON d.feed = o.feed AND d.supplier_stone_id = o.supplier_stone_id
    WHERE o.status IN ('sending', 'unknown', 'ordered', 'confirmed')
      AND d.local_status IS NULL
    UNION
    SELECT h.feed, h.supplier_stone_id
    FROM hold_history AS h
    JOIN diamonds AS d ON d.feed = h.feed AND d.supplier_stone_id = h.supplier_stone_id
    WHERE h.status IN ('sending', 'active', 'unknown', 'releasing')
      AND d.local_status IS NULL
) AS due
WHERE supplier_stone_id IS NOT NULL
ORDER BY feed, supplier_stone_id;

-- name: store_payload
-- What the supplier says of one stone is a raw answer like any other: the next consolidation makes the whole row of it.
-- It was asked for by id, so that a new payload is not judged by the price range in which the old one was found. What
-- is stored from the future was stored before the clock was set back, and is older all the same.
UPDATE raw_diamonds
SET payload = %(payload)s::json,
    payload_hash = %(payload_hash)s,
    offer_id = %(offer_id)s,
    consolidated = consolidated AND removed_at IS NULL AND payload_hash = %(payload_hash)s,
    removed_at = NULL,
    asked_price_from = CASE WHEN payload_hash = %(payload_hash)s THEN asked_price_from ELSE 0 END,
    asked_price_to = CASE WHEN payload_hash = %(payload_hash)s THEN asked_price_to END,
    fetched_at = %(asked_at)s,
    last_seen_at = clock_timestamp(),
    updated_at = CASE WHEN payload_hash = %(payload_hash)s THEN updated_at ELSE clock_timestamp() END
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s
  AND (fetched_at <= %(asked_at)s OR fetched_at > clock_timestamp());

-- name: note_gone
-- What a run read before and nobody consolidated yet is not merged any more: it would put the stone back on sale. The
-- answer counts like any other: a page asked for before it, and stored after, changes nothing. A later listing that
-- shows the stone makes it pending, even with the payload that is stored.
UPDATE raw_diamonds
SET removed_at = clock_timestamp(),
    consolidated = TRUE,
    fetched_at = %(asked_at)s
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s
  AND removed_at IS NULL
  AND (fetched_at <= %(asked_at)s OR fetched_at > clock_timestamp());

-- name: store_availability
-- Only what trade depends on; a newer answer stays, also one that showed nothing new and touched the raw row only. A
-- stone in quarantine is on sale again when consolidation made a whole row of a sound answer, and not before: its price
-- is the old one.
UPDATE diamonds AS d
SET feed_availability = told.availability,
    raw_availability = %(raw_availability)s,
    hold_id = %(hold_id)s,
    last_seen_at = CASE WHEN %(was_seen)s THEN %(asked_at)s ELSE d.last_seen_at END,
    updated_at = clock_timestamp()
FROM (
    SELECT CASE WHEN EXISTS (
        SELECT FROM rejected_diamonds
        WHERE feed = %(feed)s
          AND supplier_stone_id = %(supplier_stone_id)s
          AND resolved_at IS NULL
    ) THEN 'unavailable' ELSE %(availability)s END AS availability
) AS told
WHERE d.feed = %(feed)s
  AND d.supplier_stone_id = %(supplier_stone_id)s
  AND (d.last_seen_at <= %(asked_at)s OR d.last_seen_at > clock_timestamp())
  AND NOT EXISTS (
      SELECT FROM raw_diamonds
      WHERE feed = %(feed)s
        AND supplier_stone_id = %(supplier_stone_id)s
        AND fetched_at > %(asked_at)s
        AND fetched_at <= clock_timestamp()
  )
  AND (d.feed_availability, d.raw_availability, d.hold_id)
      IS DISTINCT FROM (told.availability, %(raw_availability)s, %(hold_id)s)
RETURNING d.id;

-- name: database_time
SELECT clock_timestamp();

-- name: set_mark
INSERT INTO availability_marks AS m (feed, supplier_stone_id, availability, client)
VALUES (%(feed)s, %(supplier_stone_id)s, %(availability)s, %(client)s)
ON CONFLICT (feed, supplier_stone_id) DO UPDATE
SET availability = EXCLUDED.availability,
    client = EXCLUDED.client,
    created_at = now();

-- name: find_mark
SELECT client
FROM availability_marks
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s;

-- name: remove_mark
DELETE FROM availability_marks
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s;
