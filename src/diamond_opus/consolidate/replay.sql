-- name: make_pending
-- The raw answers of stones in quarantine, to be mapped anew. What cannot be read has no raw answer, what was removed
-- must not come back this way, and what is pending already needs nothing.
UPDATE raw_diamonds AS w
SET consolidated = FALSE,
    consolidated_at = NULL
FROM rejected_diamonds AS r
WHERE r.feed = %(feed)s
  AND r.readable
  AND r.resolved_at IS NULL
  AND (%(ids)s::text[] IS NULL OR r.supplier_stone_id = ANY (%(ids)s))
  AND (%(reason)s::text IS NULL OR r.reason = %(reason)s)
  AND w.feed = r.feed
  AND w.supplier_stone_id = r.supplier_stone_id
  AND w.removed_at IS NULL
RETURNING w.supplier_stone_id;

-- name: newest_reading
-- The newest run that read anything, which alone may still be retried.
SELECT run_id, state
FROM run_metadata
WHERE feed = %(feed)s
  AND NOT is_replay
ORDER BY started_at DESC
LIMIT 1;

-- name: lock_active_run
-- Whoever ends the run asks under this lock whether anything is pending: it sees our rows, or it holds the right to end
-- the run already.
SELECT run_id, state, coalesce(finalise_expires_at > clock_timestamp(), FALSE) AS is_ending
FROM run_metadata
WHERE feed = %(feed)s
  AND state IN ('planned', 'ingesting', 'ingested', 'consolidating')
FOR UPDATE;
