-- name: list_errors
SELECT id::text AS id, service, error_message, stack_trace, context, created_at
FROM error_logs
WHERE (%(service)s::text IS NULL OR service = %(service)s)
ORDER BY created_at DESC, id DESC
LIMIT %(limit)s
OFFSET %(offset)s;

-- name: count_errors
SELECT count(*)
FROM error_logs
WHERE (%(service)s::text IS NULL OR service = %(service)s);

-- name: error_services
-- One step of the index for each service, whatever the number of rows.
WITH RECURSIVE known AS (
    SELECT min(service) AS service
    FROM error_logs
    UNION ALL
    SELECT (SELECT min(e.service) FROM error_logs AS e WHERE e.service > known.service)
    FROM known
    WHERE known.service IS NOT NULL
)
SELECT service
FROM known
WHERE service IS NOT NULL
ORDER BY service;

-- name: delete_errors
WITH gone AS (
    DELETE FROM error_logs
    WHERE (%(service)s::text IS NULL OR service = %(service)s)
    RETURNING 1
)
SELECT count(*)
FROM gone;

-- name: list_acts
SELECT id::text AS id, actor, action, subject, details, created_at
FROM audit_log
WHERE (%(actor)s::text IS NULL OR actor = %(actor)s)
  AND (%(action)s::text IS NULL OR action = %(action)s)
  AND (%(subject)s::text IS NULL OR subject = %(subject)s)
  AND (%(created_after)s::timestamptz IS NULL OR created_at >= %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR created_at <= %(created_before)s)
ORDER BY id DESC
LIMIT %(limit)s
OFFSET %(offset)s;

-- name: count_acts
SELECT count(*)
FROM audit_log
WHERE (%(actor)s::text IS NULL OR actor = %(actor)s)
  AND (%(action)s::text IS NULL OR action = %(action)s)
  AND (%(subject)s::text IS NULL OR subject = %(subject)s)
  AND (%(created_after)s::timestamptz IS NULL OR created_at >= %(created_after)s)
  AND (%(created_before)s::timestamptz IS NULL OR created_at <= %(created_before)s);
