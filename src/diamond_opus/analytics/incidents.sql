-- name: list_incidents
-- The open ones first, the worst of them first: what is over is for who looks back.
SELECT
    id, event, subject, severity, title, text,
    facts->>'cause' AS cause, facts->>'action' AS action, facts->>'page' AS page,
    CASE WHEN jsonb_typeof(facts->'stones') = 'number' THEN (facts->'stones')::bigint END AS stones,
    facts - ARRAY['cause', 'action', 'page', 'stones'] AS facts,
    run_id, since, opened_at, last_seen_at, occurrences, cleared_at, resolved_at, resolution
FROM incidents
WHERE (%(event)s::text IS NULL OR event = %(event)s)
  AND (%(open)s::boolean IS NULL OR (resolved_at IS NULL) = %(open)s)
ORDER BY
    resolved_at IS NOT NULL,
    CASE WHEN resolved_at IS NULL THEN array_position(%(worst_first)s::text[], severity) END,
    opened_at DESC,
    id
LIMIT %(limit)s
OFFSET %(offset)s;

-- name: count_incidents
SELECT count(*)
FROM incidents
WHERE (%(event)s::text IS NULL OR event = %(event)s)
  AND (%(open)s::boolean IS NULL OR (resolved_at IS NULL) = %(open)s);

-- name: list_deliveries
SELECT incident_id, channel, kind, told_as, state, attempts, last_error, settled_at
FROM alert_deliveries
WHERE incident_id = ANY(%(ids)s)
ORDER BY id;

-- name: count_open
SELECT
    count(*) FILTER (WHERE severity = 'critical') AS critical,
    count(*) FILTER (WHERE severity = 'error') AS error,
    count(*) FILTER (WHERE severity = 'warning') AS warning,
    count(*) FILTER (WHERE severity = 'info') AS info
FROM incidents
WHERE resolved_at IS NULL;

-- name: worst_open
-- The newest of several that are as bad.
SELECT id, event, severity, title, since
FROM incidents
WHERE resolved_at IS NULL
ORDER BY array_position(%(worst_first)s::text[], severity), opened_at DESC, id
LIMIT 1;
