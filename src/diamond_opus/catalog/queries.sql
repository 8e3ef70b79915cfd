-- name: stored_price
SELECT
    id, feed, shape, carats, lab_grown, markup_ratio, rating, rule_id, updated_at,
    (feed_price * 100)::bigint AS feed_price_cents,
    (price_model_price * 100)::bigint AS price_model_price_cents
FROM diamonds
WHERE id = %(id)s
  AND status = 'active';

-- name: raw_answer
-- The payload exactly as it was received, and what was asked when it came. One without a hash was dropped by housekeeping
-- (maintain/queries.sql), when the row was changed last.
SELECT
    r.feed, r.supplier_stone_id, r.offer_id, r.run_id, r.payload::text AS payload, r.payload_hash, r.asked_lab_grown,
    r.asked_price_from, r.asked_price_to, r.consolidated, r.consolidated_at, r.fetched_at, r.last_seen_at,
    r.last_seen_run_id, r.removed_at, CASE WHEN r.payload_hash = '' THEN r.updated_at END AS payload_dropped_at
FROM diamonds AS d
JOIN raw_diamonds AS r ON r.feed = d.feed AND r.supplier_stone_id = d.supplier_stone_id
WHERE d.id = %(id)s;

-- name: as_of
-- Asked before the snapshot is taken: a transaction that was open then began before this, and one that opens later
-- after it, so whatever a snapshot misses carries an updated_at (the beginning of its transaction) no earlier. Exports
-- write nothing, and a slow one must not hold the time back for everybody.
SELECT least(
    clock_timestamp(),
    min(xact_start) FILTER (
        WHERE pid <> pg_backend_pid()
          AND backend_type = 'client backend'
          AND application_name <> %(readers)s
    )
) AS as_of
FROM pg_stat_activity
WHERE datname = current_database();
