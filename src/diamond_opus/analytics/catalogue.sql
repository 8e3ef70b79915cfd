-- name: dataset_key
-- Raised in every transaction that changes what a shop could see: the same versions mean the same counts.
SELECT feed, version, updated_at
FROM dataset_versions
ORDER BY feed;

-- name: count_catalogue
-- One pass over the stones on sale; feeds, vendors and availabilities are all summed up from it.
SELECT
    feed, supplier_name, availability, count(*) AS stones,
    (sum(feed_price) * 100)::bigint AS feed_price_cents,
    (min(feed_price) * 100)::bigint AS min_feed_price_cents,
    (max(feed_price) * 100)::bigint AS max_feed_price_cents,
    (sum(price_model_price) * 100)::bigint AS price_model_price_cents,
    max(updated_at) AS last_updated
FROM diamonds
WHERE status = 'active'
GROUP BY feed, supplier_name, availability;

-- name: raw_key
-- Raw answers are only ever added by a reading transaction, which counts its pages, and only the newest run of a feed
-- reads: the same sums mean the same number of raw answers.
SELECT newest.feed, newest.run_id, sum(p.pages_read)::bigint AS pages, sum(p.distinct_records)::bigint AS stones
FROM (
    SELECT DISTINCT ON (feed) feed, run_id
    FROM run_metadata
    WHERE NOT is_replay
    ORDER BY feed, started_at DESC
) AS newest
LEFT JOIN partition_progress AS p ON p.run_id = newest.run_id
GROUP BY newest.feed, newest.run_id
ORDER BY newest.feed;

-- name: count_raw
SELECT count(*) FROM raw_diamonds;
