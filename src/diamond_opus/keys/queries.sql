-- name: create_key
-- One statement, so that no key is ever without its line in the audit log.
WITH created AS (
    INSERT INTO api_keys (key_hash, client_name, permissions, created_at, expires_at)
    VALUES (%(key_hash)s, %(name)s, %(permissions)s, %(now)s, %(expires_at)s)
    RETURNING id, client_name, permissions, active, created_at, last_used_at, expires_at
),
audited AS (
    INSERT INTO audit_log (actor, action, subject, details, created_at)
    SELECT %(actor)s, 'api_key.create', id::text,
        jsonb_build_object('name', client_name, 'permissions', permissions, 'expiresAt', expires_at), %(now)s
    FROM created
)
SELECT id, client_name, permissions, active, created_at, last_used_at, expires_at
FROM created;

-- name: revoke_key
-- Nothing happens to a key that is revoked already.
WITH revoked AS (
    UPDATE api_keys
    SET active = FALSE
    WHERE id = %(id)s
      AND active
    RETURNING id, client_name
)
INSERT INTO audit_log (actor, action, subject, details, created_at)
SELECT %(actor)s, 'api_key.revoke', id::text, jsonb_build_object('name', client_name), %(now)s
FROM revoked;

-- name: get_key
SELECT id, client_name, permissions, active, created_at, last_used_at, expires_at
FROM api_keys
WHERE id = %(id)s;

-- name: names_of_keys
SELECT id, client_name
FROM api_keys
WHERE id = ANY (%(ids)s);

-- name: find_key
SELECT id, client_name, permissions, active, created_at, last_used_at, expires_at
FROM api_keys
WHERE key_hash = %(key_hash)s;

-- name: list_keys
SELECT id, client_name, permissions, active, created_at, last_used_at, expires_at
FROM api_keys
ORDER BY created_at, id;

-- name: page_of_keys
SELECT id, client_name, permissions, active, created_at, last_used_at, expires_at
FROM api_keys
WHERE %(usable)s::boolean IS NULL
   OR %(usable)s = (active AND (expires_at IS NULL OR expires_at > %(now)s))
ORDER BY created_at DESC, id
LIMIT %(limit)s OFFSET %(offset)s;

-- name: count_keys
SELECT count(*)
FROM api_keys
WHERE %(usable)s::boolean IS NULL
   OR %(usable)s = (active AND (expires_at IS NULL OR expires_at > %(now)s));

-- name: touch_key
-- Once a minute is enough to tell which keys are in use, however many requests and processes there are.
UPDATE api_keys
SET last_used_at = %(now)s
WHERE id = %(id)s
  AND (last_used_at IS NULL OR last_used_at <= %(now)s - interval '1 minute');

-- name: spend_signature
-- The row is the claim: of two requests at once, one inserts it. What has expired is pruned in passing, a little each time.
WITH expired AS (
    SELECT client, signature
    FROM request_signatures
    WHERE expires_at < %(now)s
    ORDER BY expires_at
    LIMIT 10
    FOR UPDATE SKIP LOCKED
),
pruned AS (
    DELETE FROM request_signatures AS s
    USING expired
    WHERE s.client = expired.client
      AND s.signature = expired.signature
)
INSERT INTO request_signatures (client, signature, expires_at, idempotency_hash)
VALUES (%(client)s, %(signature)s, %(expires_at)s, %(idempotency_hash)s)
ON CONFLICT (client, signature) DO NOTHING;

-- name: is_same_request
-- A header that is missing both times is the same too.
SELECT idempotency_hash IS NOT DISTINCT FROM %(idempotency_hash)s
FROM request_signatures
WHERE client = %(client)s
  AND signature = %(signature)s;
