-- name: create_incoming
-- Payloads up to a page stay as they are here: one that is compressed on the way in is small enough to remain in its
-- raw row, and then every later mark copies it.
CREATE TEMP TABLE incoming (
    supplier_stone_id TEXT NOT NULL,
    id UUID NOT NULL,
    offer_id TEXT NOT NULL,
    payload JSON NOT NULL,
    payload_hash TEXT NOT NULL,
    fetched_at TIMESTAMPTZ NOT NULL
) WITH (toast_tuple_target = 8160) ON COMMIT DROP;

-- name: copy_incoming
COPY incoming (supplier_stone_id, id, offer_id, payload, payload_hash, fetched_at) FROM STDIN (FORMAT BINARY);

-- name: store_incoming
-- Sorted, so that two workers that meet at a shared edge wait for each other and never deadlock. A payload fetched
-- before the one that is stored changes nothing, whichever commits first; one that is stored from the future was
-- stored before the clock was set back, and is older all the same. An unchanged one is only marked as seen: its payload
-- is not written again, what was consolidated stays so, and the range it was judged by stays beside it.
WITH stored AS (
    INSERT INTO raw_diamonds AS r (
        feed, supplier_stone_id, id, run_id, offer_id, payload, payload_hash,
        asked_lab_grown, asked_price_from, asked_price_to, fetched_at, last_seen_at, last_seen_run_id
    )
    SELECT
        %(feed)s, supplier_stone_id, id, %(run_id)s, offer_id, payload, payload_hash,
        %(lab_grown)s, %(price_from)s, %(price_to)s, fetched_at, clock_timestamp(), %(run_id)s
    FROM incoming
    ORDER BY supplier_stone_id
    ON CONFLICT (feed, supplier_stone_id) DO UPDATE
    SET run_id = CASE
            WHEN (r.payload_hash, r.asked_lab_grown) = (EXCLUDED.payload_hash, EXCLUDED.asked_lab_grown)
                THEN r.run_id ELSE EXCLUDED.run_id
        END,
        payload = CASE WHEN r.payload_hash = EXCLUDED.payload_hash THEN r.payload ELSE EXCLUDED.payload END,
        consolidated = r.consolidated
            AND r.removed_at IS NULL
            AND (r.payload_hash, r.asked_lab_grown) = (EXCLUDED.payload_hash, EXCLUDED.asked_lab_grown),
        updated_at = CASE WHEN r.payload_hash = EXCLUDED.payload_hash THEN r.updated_at ELSE now() END,
        removed_at = NULL,
        offer_id = EXCLUDED.offer_id,
        payload_hash = EXCLUDED.payload_hash,
        asked_lab_grown = EXCLUDED.asked_lab_grown,
        asked_price_from = CASE
            WHEN (r.payload_hash, r.asked_lab_grown) = (EXCLUDED.payload_hash, EXCLUDED.asked_lab_grown)
                THEN r.asked_price_from ELSE EXCLUDED.asked_price_from
        END,
        asked_price_to = CASE
            WHEN (r.payload_hash, r.asked_lab_grown) = (EXCLUDED.payload_hash, EXCLUDED.asked_lab_grown)
                THEN r.asked_price_to ELSE EXCLUDED.asked_price_to
        END,
        fetched_at = EXCLUDED.fetched_at,
        last_seen_at = EXCLUDED.last_seen_at,
        last_seen_run_id = EXCLUDED.last_seen_run_id
    WHERE r.fetched_at <= EXCLUDED.fetched_at OR r.fetched_at > clock_timestamp()
    RETURNING r.run_id
)
SELECT count(*) FILTER (WHERE run_id <> %(run_id)s) AS unchanged
FROM stored;

-- name: store_unreadable
INSERT INTO rejected_diamonds AS r (feed, supplier_stone_id, offer_id, run_id, reason, json_path, payload, readable)
VALUES (%(feed)s, %(supplier_stone_id)s, NULL, %(run_id)s, %(reason)s, %(json_path)s, %(payload)s, FALSE)
ON CONFLICT (feed, supplier_stone_id) DO UPDATE
SET run_id = EXCLUDED.run_id,
    reason = EXCLUDED.reason,
    json_path = EXCLUDED.json_path,
    payload = EXCLUDED.payload,
    last_seen_at = now(),
    resolved_at = NULL;
