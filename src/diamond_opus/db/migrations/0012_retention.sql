-- Finding what is past its time without reading the whole inventory.
-- Why: housekeeping takes a batch, commits and asks for the next one. Without these each batch reads every raw stone or
-- every diamond to find a thousand that have been gone for months. And who tells of the ends of incidents looks for the
-- latest every 5 s: without one it reads all there ever were.
-- Safe with old code: indexes only. Each holds only what is gone or settled, so that a run that changes nothing else
-- writes to none of them.
CREATE INDEX raw_diamonds_removed ON raw_diamonds (removed_at) WHERE removed_at IS NOT NULL AND payload_hash <> '';
CREATE INDEX diamonds_deleted ON diamonds (deleted_at) WHERE status = 'deleted';
CREATE INDEX rejected_diamonds_resolved ON rejected_diamonds (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX incidents_resolved ON incidents (resolved_at) WHERE resolved_at IS NOT NULL;
