-- name: fill
-- A catalogue of %(stones)s stones without the pipeline: shapes, grades, weights and prices fall about as they do at the
-- supplier (many small and cheap ones, few large), two thirds lab-grown.
WITH dice AS (
    SELECT
        n,
        random() AS a, random() AS b, random() AS c, random() AS d, random() AS e, random() AS f, random() AS g
    FROM generate_series(1, %(stones)s) AS n
),
graded AS (
    SELECT
        n, f, g,
        uuid_in(md5('stone' || n)::cstring) AS id,
        (ARRAY['ROUND','ROUND','ROUND','ROUND','OVAL','OVAL','EMERALD','CUSHION BRILLIANT','PEAR','PRINCESS',
               'RADIANT','MARQUISE','ASSCHER','HEART','CUSHION MODIFIED'])[1 + floor(a * 15)::int] AS shape,
        least(15, round((0.3 + 2.2 * power(b, 3) + 0.01 * floor(10 * c))::numeric, 2)) AS carats,
        1 + floor(c * 10)::int AS color_rank,
        1 + floor(d * 11)::int AS clarity_rank,
        e < 0.67 AS lab_grown
    FROM dice
),
priced AS (
    SELECT
        *,
        round((CASE WHEN lab_grown THEN 150 ELSE 900 END
            * power(carats::float8, 1.6) * (2.4 - 0.12 * color_rank) * (2.2 - 0.1 * clarity_rank)
            * (0.8 + 0.4 * f))::numeric, 2) + 20 AS feed_price
    FROM graded
)
INSERT INTO diamonds (
    id, feed, supplier_stone_id, offer_id, shape, carats, color, clarity, cut, polish, symmetry, fluorescence,
    lab_grown, feed_price, price_per_carat, price_model_price, markup_ratio, rating, feed_availability,
    raw_availability, image_url, video_url, certificate_lab, certificate_number, measurements, supplier_name,
    color_rank, clarity_rank, length_mm, width_mm, depth_mm, table_percent, depth_percent, ratio, eye_clean,
    delivery_days_min, delivery_days_max, returnable, raw_hash, last_seen_at, created_at, updated_at
)
SELECT
    id, 'nivoda', id::text, 'DIAMOND/' || id, shape, carats,
    (ARRAY['D','E','F','G','H','I','J','K','L','M'])[color_rank],
    (ARRAY['FL','IF','VVS1','VVS2','VS1','VS2','SI1','SI2','SI3','I1','I2'])[clarity_rank],
    CASE WHEN shape = 'ROUND' THEN (ARRAY['EX','EX','EX','VG','G','ID'])[1 + floor(f * 6)::int] END,
    (ARRAY['EX','EX','EX','VG','G'])[1 + floor(g * 5)::int],
    (ARRAY['EX','EX','VG','VG','G'])[1 + floor(f * 5)::int],
    (ARRAY['NON','NON','NON','FNT','MED','STG'])[1 + floor(g * 6)::int],
    lab_grown, feed_price, round(feed_price / carats, 2), round(feed_price * 1.15, 2), 1.15, 1 + n %% 10,
    (ARRAY['available','available','available','available','available','on_hold','sold'])[1 + floor(f * 7)::int],
    'AVAILABLE', CASE WHEN f < 0.8 THEN 'https://images.example.com/' || n || '.jpg' END,
    CASE WHEN g < 0.9 THEN 'https://videos.example.com/' || n END,
    (ARRAY['GIA','IGI','IGI','HRD','GCAL'])[1 + floor(f * 5)::int], (100000000 + n)::text,
    jsonb_build_object('length', 6.5, 'width', 6.4, 'depth', 4.0, 'table', 57, 'depthPercentage', 61.5),
    'Vendor ' || n %% 200, color_rank, clarity_rank, 6.5, 6.4, 4.0, 55 + n %% 8, 58 + n %% 7,
    round((1 + g * 0.6)::numeric, 3), CASE WHEN f < 0.5 THEN g < 0.9 END, 3, 3 + n %% 12, g < 0.4, md5(n::text),
    now(), timestamptz '2026-01-01' + make_interval(secs => n / 2000 * 7), timestamptz '2026-06-01'
FROM priced;
