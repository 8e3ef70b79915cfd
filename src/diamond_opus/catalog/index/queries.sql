-- name: read_columns
-- Whole columns as arrays: one row of the answer holds some thousand stones, in fixed-width values that need no
-- parsing. Texts come as digests; what they stand for is asked of one stone that has it (read_texts). Which stones, is
-- put in by the caller. The order of the arrays is the same in all, because they are made in one pass.
SELECT
    array_agg(id) AS id,
    array_agg(hashed.shape) AS shape,
    array_agg(hashed.color) AS color,
    array_agg(hashed.clarity) AS clarity,
    array_agg(hashed.cut) AS cut,
    array_agg(hashed.polish) AS polish,
    array_agg(hashed.symmetry) AS symmetry,
    array_agg(hashed.fluorescence) AS fluorescence,
    array_agg(hashed.certificate_lab) AS certificate_lab,
    array_agg(hashed.availability) AS availability,
    array_agg(hashed.feed) AS feed,
    array_agg(hashed.fancy_color) AS fancy_color,
    array_agg(hashed.fancy_intensity) AS fancy_intensity,
    array_agg(facts) AS facts,
    array_agg(created_at) AS created_at,
    array_agg(price_model_price) AS price_model_price,
    array_agg(feed_price) AS feed_price,
    array_agg(price_per_carat) AS price_per_carat,
    array_agg(carats) AS carats,
    array_agg(ratio) AS ratio,
    array_agg(table_percent) AS table_percent,
    array_agg(depth_percent) AS depth_percent,
    array_agg(delivery_days_max) AS delivery_days_max,
    array_agg(color_rank) AS color_rank,
    array_agg(clarity_rank) AS clarity_rank,
    array_agg(rating) AS rating
FROM (
    SELECT
        id,
        coalesce(hashtextextended(shape, 0), 0) AS shape,
        coalesce(hashtextextended(color, 0), 0) AS color,
        coalesce(hashtextextended(clarity, 0), 0) AS clarity,
        coalesce(hashtextextended(cut, 0), 0) AS cut,
        coalesce(hashtextextended(polish, 0), 0) AS polish,
        coalesce(hashtextextended(symmetry, 0), 0) AS symmetry,
        coalesce(hashtextextended(fluorescence, 0), 0) AS fluorescence,
        coalesce(hashtextextended(certificate_lab, 0), 0) AS certificate_lab,
        coalesce(hashtextextended(availability, 0), 0) AS availability,
        coalesce(hashtextextended(feed, 0), 0) AS feed,
        coalesce(hashtextextended(fancy_color, 0), 0) AS fancy_color,
        coalesce(hashtextextended(fancy_intensity, 0), 0) AS fancy_intensity,
        (
            lab_grown::int
            + treated::int * 2
            + (image_url IS NOT NULL)::int * 4
            + (video_url IS NOT NULL)::int * 8
            + coalesce(eye_clean, FALSE)::int * 16
            + coalesce(NOT eye_clean, FALSE)::int * 32
            + coalesce(returnable, FALSE)::int * 64
            + coalesce(NOT returnable, FALSE)::int * 128
        )::int2 AS facts,
        created_at,
        (price_model_price * 100)::int8 AS price_model_price,
        (feed_price * 100)::int8 AS feed_price,
        coalesce((round(price_model_price / nullif(carats, 0), 2) * 100)::int8, -1) AS price_per_carat,
        (carats * 100)::int4 AS carats,
        coalesce((ratio * 1000)::int4, -1) AS ratio,
        coalesce((table_percent * 100)::int4, -1) AS table_percent,
        coalesce((depth_percent * 100)::int4, -1) AS depth_percent,
        coalesce(delivery_days_max, -1) AS delivery_days_max,
        coalesce(color_rank, -1::int2) AS color_rank,
        coalesce(clarity_rank, -1::int2) AS clarity_rank,
        coalesce(rating, -1)::int2 AS rating
    FROM diamonds
    WHERE status = 'active'
      AND {stones}
) AS hashed;

-- name: read_texts
SELECT
    id, shape, color, clarity, cut, polish, symmetry, fluorescence, certificate_lab, availability, feed, fancy_color,
    fancy_intensity
FROM diamonds
WHERE id = ANY (%(ids)s);

-- name: count_on_sale
SELECT count(*) AS stones
FROM diamonds
WHERE status = 'active';

-- name: versions
SELECT feed, version
FROM dataset_versions;

-- name: changed_ids
-- What changed behind the versions that are held.
SELECT array_agg(DISTINCT changed.id) AS ids
FROM dataset_changes AS c
LEFT JOIN unnest(%(feeds)s::text[], %(versions)s::bigint[]) AS held (feed, version) ON held.feed = c.feed
CROSS JOIN LATERAL unnest(c.diamond_ids) AS changed (id)
WHERE c.version > coalesce(held.version, 0);

-- name: distance
-- How much changed, without the lists themselves; a NULL list means that anything may have. Each change raises its
-- feed's version by one: where there are fewer changes than steps, some were pruned.
SELECT
    (
        SELECT coalesce(sum(v.version - coalesce(held.version, 0)), 0)
        FROM dataset_versions AS v
        LEFT JOIN unnest(%(feeds)s::text[], %(versions)s::bigint[]) AS held (feed, version) ON held.feed = v.feed
    ) AS steps,
    count(*) AS changes,
    coalesce(sum(cardinality(c.diamond_ids)), 0) AS stones,
    coalesce(bool_or(c.diamond_ids IS NULL), FALSE) AS has_unknown,
    coalesce(bool_or(cardinality(c.diamond_ids) <= 20), FALSE) AS has_few
FROM dataset_changes AS c
LEFT JOIN unnest(%(feeds)s::text[], %(versions)s::bigint[]) AS held (feed, version) ON held.feed = c.feed
WHERE c.version > coalesce(held.version, 0);

-- name: prune_changes
DELETE FROM dataset_changes
WHERE changed_at < clock_timestamp() - interval '1 day';
