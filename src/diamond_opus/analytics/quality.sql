-- name: rejections_by_reason
-- Of the run that last refused each stone; a few examples for a person.
SELECT
    reason, json_path, count(*) AS stones, count(*) FILTER (WHERE resolved_at IS NULL) AS open,
    (array_agg(supplier_stone_id ORDER BY last_seen_at DESC, supplier_stone_id))[1:5] AS examples
FROM rejected_diamonds
WHERE run_id = %(run_id)s
  AND readable
GROUP BY reason, json_path
ORDER BY stones DESC, reason, json_path;

-- name: unreadable_by_reason
SELECT
    reason, json_path, count(*) AS stones, count(*) FILTER (WHERE resolved_at IS NULL) AS open,
    (array_agg(supplier_stone_id ORDER BY supplier_stone_id))[1:5] AS examples
FROM rejected_diamonds
WHERE run_id = %(run_id)s
  AND NOT readable
GROUP BY reason, json_path
ORDER BY stones DESC, reason, json_path;

-- name: warnings_by_path
SELECT json_path, reason, occurrences, examples
FROM run_warnings
WHERE run_id = %(run_id)s
ORDER BY occurrences DESC, json_path, reason;

-- name: list_rejected
SELECT
    feed, supplier_stone_id, offer_id, run_id, reason, json_path, readable, first_seen_at, last_seen_at, resolved_at
FROM rejected_diamonds
WHERE (%(feed)s::text IS NULL OR feed = %(feed)s)
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(run_id)s::uuid IS NULL OR run_id = %(run_id)s)
  AND (%(resolved)s::boolean IS NULL OR (resolved_at IS NOT NULL) = %(resolved)s)
ORDER BY last_seen_at DESC, feed, supplier_stone_id
LIMIT %(limit)s
OFFSET %(offset)s;

-- name: count_rejected
SELECT count(*)
FROM rejected_diamonds
WHERE (%(feed)s::text IS NULL OR feed = %(feed)s)
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(run_id)s::uuid IS NULL OR run_id = %(run_id)s)
  AND (%(resolved)s::boolean IS NULL OR (resolved_at IS NOT NULL) = %(resolved)s);

-- name: get_rejected
-- The payload as it came, so that whoever mends the mapping sees what the supplier said.
SELECT
    feed, supplier_stone_id, offer_id, run_id, reason, json_path, readable, first_seen_at, last_seen_at, resolved_at,
    payload::text AS payload
FROM rejected_diamonds
WHERE feed = %(feed)s
  AND supplier_stone_id = %(supplier_stone_id)s;
