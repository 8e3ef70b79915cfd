-- With which idempotency key a signed request came first, and an index to prune signatures by.
-- Why: a signature covers no header. Repeating a purchase is allowed, so that a client whose connection broke can learn what
-- became of it; but only with the key it came with, or who overheard it could buy again under another one.
-- Safe with old code: nullable, no default, no rewrite.

ALTER TABLE request_signatures ADD COLUMN idempotency_hash TEXT;

CREATE INDEX request_signatures_expiry ON request_signatures (expires_at);
