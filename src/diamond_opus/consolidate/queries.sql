-- name: begin_batch
-- A batch that a crash of the server takes back is pending again, whole, and a later pass finds it: no need to wait
-- for the disk at each commit. What follows the last batch (the run's own steps) is committed durably, and with it
-- everything before. What the batch changes is told at its end (db/changes.py), which has to be said at its beginning:
-- both in one exchange.
SELECT set_config('synchronous_commit', 'off', TRUE), announce_changes();

-- name: claim_batch
-- The claim, the mark and the read are one statement: the row lock is the claim, and a rollback undoes the mark, so
-- a crash leaves the rows pending and a payload written meanwhile can never be marked done unread. Rows that another
-- consolidator holds are skipped. %(after)s lets a pass walk the keys once instead of rescanning what it finished.
WITH picked AS (
    SELECT feed, supplier_stone_id
    FROM raw_diamonds
    WHERE feed = %(feed)s
      AND NOT consolidated
      AND supplier_stone_id > %(after)s
      AND (%(only)s::text[] IS NULL OR supplier_stone_id = ANY (%(only)s))
    ORDER BY supplier_stone_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), marked AS (
    UPDATE raw_diamonds AS r
    SET consolidated = TRUE,
        consolidated_at = now()
    FROM picked AS p
    LEFT JOIN diamonds AS d ON d.feed = p.feed AND d.supplier_stone_id = p.supplier_stone_id
    WHERE r.feed = %(feed)s
      AND r.supplier_stone_id = p.supplier_stone_id
    RETURNING
        r.supplier_stone_id, r.offer_id, r.payload, r.asked_lab_grown, r.asked_price_from, r.asked_price_to,
        r.id, r.payload_hash, r.last_seen_at, d.id IS NOT NULL AS is_known
)
-- By column, 64 stones to an answer's row: see claim.py.
SELECT
    array_agg(supplier_stone_id), array_agg(offer_id), array_agg(payload), array_agg(asked_lab_grown),
    array_agg(asked_price_from), array_agg(asked_price_to), array_agg(id), array_agg(payload_hash),
    array_agg(last_seen_at), array_agg(is_known)
FROM (SELECT *, row_number() OVER () AS number FROM marked) AS numbered
GROUP BY number / 64;

-- name: run_state
SELECT state
FROM run_metadata
WHERE run_id = %(run_id)s;

-- name: copy_new
COPY diamonds ({columns}) FROM STDIN (FORMAT BINARY);

-- name: create_staging
CREATE TEMP TABLE staging (LIKE diamonds) ON COMMIT DROP;

-- name: relax_staging
-- Only the supplier's columns are staged.
ALTER TABLE staging
    ALTER COLUMN status DROP NOT NULL,
    ALTER COLUMN availability DROP NOT NULL,
    ALTER COLUMN created_at DROP NOT NULL,
    ALTER COLUMN updated_at DROP NOT NULL;

-- name: copy_staging
COPY staging ({columns}) FROM STDIN (FORMAT BINARY);

-- name: merge_staging
-- What did not change is not written; what is local (trade) is not named here and so cannot be overwritten.
UPDATE diamonds AS d
SET ({columns}) = ({staged}),
    status = 'active',
    deleted_at = NULL,
    updated_at = now()
FROM staging AS s
WHERE d.id = s.id
  AND (d.status <> 'active' OR ({current}) IS DISTINCT FROM ({staged_content}))
RETURNING d.id;

-- name: reject
-- The stone stays in quarantine until its payload changes or it is replayed; if it was on sale it is no longer.
WITH rejected AS (
    INSERT INTO rejected_diamonds AS r (feed, supplier_stone_id, offer_id, run_id, reason, json_path, payload)
    SELECT w.feed, w.supplier_stone_id, w.offer_id, %(run_id)s, bad.reason, bad.json_path, w.payload
    FROM unnest(%(ids)s::text[], %(reasons)s::text[], %(paths)s::text[]) AS bad (supplier_stone_id, reason, json_path)
    JOIN raw_diamonds AS w ON w.feed = %(feed)s AND w.supplier_stone_id = bad.supplier_stone_id
    ON CONFLICT (feed, supplier_stone_id) DO UPDATE
    SET offer_id = EXCLUDED.offer_id,
        run_id = EXCLUDED.run_id,
        reason = EXCLUDED.reason,
        json_path = EXCLUDED.json_path,
        payload = EXCLUDED.payload,
        last_seen_at = now(),
        resolved_at = NULL
)
UPDATE diamonds
SET feed_availability = 'unavailable',
    updated_at = now()
WHERE feed = %(feed)s
  AND supplier_stone_id = ANY (%(ids)s)
  AND feed_availability <> 'unavailable'
RETURNING id;

-- name: resolve_rejected
UPDATE rejected_diamonds
SET resolved_at = now()
WHERE feed = %(feed)s
  AND resolved_at IS NULL
  AND supplier_stone_id = ANY (%(ids)s);

-- name: open_rejections
-- first and last were found by code points; the database's own collation may order the ids in another way.
SELECT supplier_stone_id
FROM rejected_diamonds
WHERE feed = %(feed)s
  AND resolved_at IS NULL
  AND supplier_stone_id COLLATE "C" BETWEEN %(first)s AND %(last)s;

-- name: count_warnings
-- A few examples of each are enough for a person; the count is exact.
INSERT INTO run_warnings AS w (run_id, json_path, reason, occurrences, examples)
SELECT %(run_id)s, json_path, reason, occurrences, ARRAY[example]
FROM unnest(%(paths)s::text[], %(reasons)s::text[], %(occurrences)s::bigint[], %(examples)s::text[])
    AS new (json_path, reason, occurrences, example)
ORDER BY json_path, reason
ON CONFLICT (run_id, json_path, reason) DO UPDATE
SET occurrences = w.occurrences + EXCLUDED.occurrences,
    examples = (w.examples || EXCLUDED.examples)[1:5];

-- name: count_batch
-- Last in the batch's transaction: the run's row is locked only while the batch commits.
UPDATE run_metadata
SET consolidation_processed = consolidation_processed + %(processed)s,
    consolidation_errors = consolidation_errors + %(rejected)s,
    rejected_records = rejected_records + %(rejected)s
WHERE run_id = %(run_id)s;

-- name: pending_ids
-- Which stones a batch that the database refused was about.
SELECT supplier_stone_id
FROM raw_diamonds
WHERE feed = %(feed)s
  AND NOT consolidated
  AND supplier_stone_id > %(after)s
ORDER BY supplier_stone_id
LIMIT %(limit)s;
