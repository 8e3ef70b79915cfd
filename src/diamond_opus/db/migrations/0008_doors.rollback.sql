DROP INDEX request_signatures_expiry;
ALTER TABLE request_signatures DROP COLUMN idempotency_hash;
