-- name: active_rules
-- The order is the order of matching: priority, then id.
SELECT
    id,
    priority,
    carat_min,
    carat_max,
    shapes,
    lab_grown,
    feed,
    markup_ratio,
    rating,
    active
FROM pricing_rules
WHERE active
ORDER BY priority, id;
