-- name: read_watermark
SELECT last_updated_at, last_run_id, last_run_completed_at, version
FROM watermarks
WHERE feed = %(feed)s

-- name: create_watermark
INSERT INTO watermarks (feed, last_updated_at, last_run_id, last_run_completed_at, version)
VALUES (%(feed)s, %(last_updated_at)s, %(last_run_id)s, %(last_run_completed_at)s, 1)
ON CONFLICT (feed) DO NOTHING
RETURNING version

-- name: replace_watermark
UPDATE watermarks
SET last_updated_at = %(last_updated_at)s,
    last_run_id = %(last_run_id)s,
    last_run_completed_at = %(last_run_completed_at)s,
    version = version + 1
WHERE feed = %(feed)s
  AND version = %(expected_version)s
RETURNING version
