-- name: list_scans
-- Those of runs and those that a person asked for.
SELECT id, feed, lab_grown, total, api_calls, scanned_at, run_id, cells
FROM density_scans
WHERE (%(feed)s::text IS NULL OR feed = %(feed)s)
  AND (%(lab_grown)s::boolean IS NULL OR lab_grown = %(lab_grown)s)
ORDER BY scanned_at DESC, id
LIMIT %(limit)s
OFFSET %(offset)s;

-- name: count_scans
SELECT count(*)
FROM density_scans
WHERE (%(feed)s::text IS NULL OR feed = %(feed)s)
  AND (%(lab_grown)s::boolean IS NULL OR lab_grown = %(lab_grown)s);
