-- name: open_incident
-- One open row for an event and its subject, however many see the trouble and whenever: the partial unique index decides
-- between those who see it at once. Who sees it again refreshes what is told of it, and it is not clearing up any more.
-- An id that was given to an earlier one, which is over, is not given again.
INSERT INTO incidents (id, event, subject, severity, title, text, facts, run_id, since)
VALUES (
    coalesce(
        CASE WHEN NOT EXISTS (SELECT FROM incidents AS earlier WHERE earlier.id = %(id)s::uuid) THEN %(id)s::uuid END,
        gen_random_uuid()
    ),
    %(event)s, %(subject)s, %(severity)s, %(title)s, %(text)s, %(facts)s,
    %(run_id)s, coalesce(%(since)s, clock_timestamp())
)
ON CONFLICT (event, subject) WHERE resolved_at IS NULL DO UPDATE
SET last_seen_at = clock_timestamp(),
    occurrences = incidents.occurrences + 1,
    cleared_at = NULL,
    severity = EXCLUDED.severity,
    title = EXCLUDED.title,
    text = EXCLUDED.text,
    facts = EXCLUDED.facts
RETURNING id, occurrences = 1 AS is_new;

-- name: find_open
SELECT id
FROM incidents
WHERE event = %(event)s
  AND subject = %(subject)s
  AND resolved_at IS NULL;

-- name: get_incident
SELECT
    id, event, subject, severity, title, text, facts, run_id, since, opened_at, last_seen_at, occurrences, cleared_at,
    resolved_at, resolution
FROM incidents
WHERE id = %(id)s;

-- name: list_open
SELECT
    id, event, subject, severity, title, text, facts, run_id, since, opened_at, last_seen_at, occurrences, cleared_at,
    resolved_at, resolution
FROM incidents
WHERE resolved_at IS NULL
ORDER BY opened_at, id;

-- name: list_incidents
SELECT
    id, event, subject, severity, title, text, facts, run_id, since, opened_at, last_seen_at, occurrences, cleared_at,
    resolved_at, resolution
FROM incidents
ORDER BY opened_at DESC, id
LIMIT %(limit)s
OFFSET %(offset)s;

-- name: count_incidents
SELECT count(*)
FROM incidents;

-- name: count_lately
-- How often the same trouble began within the hour, this time included.
SELECT count(*) AS times
FROM incidents
WHERE event = %(event)s
  AND subject = %(subject)s
  AND opened_at > clock_timestamp() - interval '1 hour';

-- name: mark_cleared
UPDATE incidents
SET cleared_at = clock_timestamp()
WHERE id = %(id)s
  AND cleared_at IS NULL
  AND resolved_at IS NULL
RETURNING cleared_at;

-- name: refresh
UPDATE incidents
SET title = %(title)s,
    text = %(text)s,
    facts = %(facts)s,
    last_seen_at = clock_timestamp(),
    cleared_at = NULL
WHERE event = %(event)s
  AND subject = %(subject)s
  AND resolved_at IS NULL;

-- name: mark_not_over
-- Or nobody could look; it is not seen for that.
UPDATE incidents
SET cleared_at = NULL
WHERE id = %(id)s
  AND resolved_at IS NULL;

-- name: resolve_events
UPDATE incidents
SET cleared_at = coalesce(cleared_at, clock_timestamp()),
    resolved_at = clock_timestamp(),
    resolution = %(resolution)s
WHERE event = ANY(%(events)s)
  AND resolved_at IS NULL;

-- name: resolve_incident
-- Of one that was seen again meanwhile cleared_at is another.
UPDATE incidents
SET cleared_at = coalesce(cleared_at, clock_timestamp()),
    resolved_at = clock_timestamp(),
    resolution = %(resolution)s
WHERE id = %(id)s
  AND resolved_at IS NULL
  AND (%(cleared_at)s::timestamptz IS NULL OR cleared_at = %(cleared_at)s)
RETURNING id;
