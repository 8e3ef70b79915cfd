-- name: announce_changes
SELECT announce_changes();

-- name: record_changes
SELECT record_changes(
    %(feed)s,
    ARRAY(
        SELECT encode(substring(%(ids)s::bytea FROM at FOR 16), 'hex')::uuid
        FROM generate_series(1, length(%(ids)s::bytea), 16) AS at
    )
);
