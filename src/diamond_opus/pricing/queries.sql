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

-- name: page_of_rules
-- In the order of matching; which is null for all of them.
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
    active,
    created_at,
    updated_at
FROM pricing_rules
WHERE %(active)s::boolean IS NULL
   OR active = %(active)s
ORDER BY priority, id
LIMIT %(limit)s OFFSET %(offset)s;

-- name: count_rules
SELECT count(*)
FROM pricing_rules
WHERE %(active)s::boolean IS NULL
   OR active = %(active)s;

-- name: get_rule
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
    active,
    created_at,
    updated_at
FROM pricing_rules
WHERE id = %(id)s;

-- name: lock_rule
-- Two changes at once follow one another, so that what is stored was checked as a whole.
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
    active,
    created_at,
    updated_at
FROM pricing_rules
WHERE id = %(id)s
FOR UPDATE;

-- name: insert_rule
INSERT INTO pricing_rules (
    id, priority, carat_min, carat_max, shapes, lab_grown, feed, markup_ratio, rating, active, created_at, updated_at
)
VALUES (
    %(id)s, %(priority)s, %(carat_min)s, %(carat_max)s, %(shapes)s, %(lab_grown)s, %(feed)s, %(markup_ratio)s,
    %(rating)s, %(active)s, %(now)s, %(now)s
);

-- name: update_rule
UPDATE pricing_rules
SET priority = %(priority)s,
    carat_min = %(carat_min)s,
    carat_max = %(carat_max)s,
    shapes = %(shapes)s,
    lab_grown = %(lab_grown)s,
    feed = %(feed)s,
    markup_ratio = %(markup_ratio)s,
    rating = %(rating)s,
    active = %(active)s,
    updated_at = %(now)s
WHERE id = %(id)s;

-- name: deactivate_rule
UPDATE pricing_rules
SET active = FALSE,
    updated_at = %(now)s
WHERE id = %(id)s;
