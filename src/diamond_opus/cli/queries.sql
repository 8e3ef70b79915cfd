-- name: open_partitions
-- Every partition that a worker may still have to read. 'held': somebody's lease lives, maybe only a dead process's;
-- 'blocked': a catch-up behind ranges that are not read yet; else 'open', due now or after its back-off.
SELECT
    p.run_id::text || ':' || p.partition_id AS key,
    CASE
        WHEN p.state = 'running' AND p.lease_expires_at >= clock_timestamp() THEN 'held'
        WHEN p.kind = 'catch_up' AND EXISTS (
            SELECT FROM partition_progress AS other
            WHERE other.run_id = p.run_id
              AND other.kind = 'range'
              AND other.state <> 'completed'
        ) THEN 'blocked'
        ELSE 'open'
    END AS state,
    p.lease_expires_at AS held_until
FROM partition_progress AS p
JOIN run_metadata AS r ON r.run_id = p.run_id
WHERE r.state IN ('planned', 'ingesting')
  AND r.feed = ANY(%(feeds)s)
  AND p.state IN ('pending', 'running');

-- name: open_consolidations
-- Every run that a consolidator may still have to end, or whose accepted removals it may have to do; 'held' while
-- somebody has the right to.
SELECT
    run_id::text AS key,
    CASE WHEN finalise_expires_at >= clock_timestamp() THEN 'held' ELSE 'open' END AS state,
    finalise_expires_at AS held_until
FROM run_metadata
WHERE (
      state IN ('ingested', 'consolidating')
      OR (removals_accepted_at IS NOT NULL AND removals_settled_at IS NULL)
  )
  AND feed = ANY(%(feeds)s);

-- name: demo_totals
SELECT
    (SELECT count(*) FROM raw_diamonds WHERE feed = %(feed)s) AS raw,
    count(*) AS diamonds,
    count(price_model_price) AS priced,
    (
        SELECT count(*)
        FROM rejected_diamonds
        WHERE feed = %(feed)s
          AND readable
          AND resolved_at IS NULL
    ) AS rejected
FROM diamonds
WHERE feed = %(feed)s
  AND status = 'active';

-- name: demo_by_shape
SELECT
    shape,
    count(*) AS stones,
    count(*) FILTER (WHERE lab_grown) AS lab_grown,
    min(price_model_price) AS cheapest,
    max(price_model_price) AS dearest
FROM diamonds
WHERE feed = %(feed)s
  AND status = 'active'
GROUP BY shape
ORDER BY stones DESC, shape;

-- name: demo_by_price
-- Bands of the selling price, in dollars; the last one is open.
SELECT
    band.low,
    band.high,
    count(d.id) AS stones,
    min(d.price_model_price) AS cheapest,
    max(d.price_model_price) AS dearest,
    sum(d.price_model_price) AS total
FROM (
    VALUES (0, 500), (500, 1000), (1000, 2500), (2500, 5000), (5000, 10000), (10000, 50000), (50000, NULL)
) AS band (low, high)
LEFT JOIN diamonds AS d
    ON d.feed = %(feed)s
    AND d.status = 'active'
    AND d.price_model_price >= band.low
    AND (band.high IS NULL OR d.price_model_price < band.high)
GROUP BY band.low, band.high
ORDER BY band.low;

-- name: demo_example
-- A stone worth looking at.
SELECT id
FROM diamonds
WHERE feed = %(feed)s
  AND status = 'active'
ORDER BY price_model_price DESC, id
LIMIT 1;

-- name: demo_runs
-- Whether anything is in the database, and which runs brought it.
SELECT run_id::text AS run_id, run_type = 'full' AND state = 'completed' AS is_whole
FROM run_metadata
ORDER BY started_at DESC, run_id;

-- name: has_raw_stones
SELECT EXISTS (SELECT FROM raw_diamonds) AS found;
