-- name: forget_health
DELETE FROM supplier_health;

-- name: note_health
-- Every process that asks the feed's supplier says here what it saw last. The same state lasts on; another takes its
-- place if it was seen later, but a refusal stands until none was seen for calm_seconds: a supplier that refuses some
-- requests and answers others refuses, however the two take turns and whoever sees which. Times come as ages, so that
-- this server's clock is the only one; one ahead of it is from before it was set back.
INSERT INTO supplier_health AS h (feed, state, since, seen_at, reason)
SELECT %(feed)s, %(state)s, seen_at, seen_at, %(reason)s
FROM (SELECT clock_timestamp() - make_interval(secs => %(age_seconds)s::float8) AS seen_at) AS new
ON CONFLICT (feed) DO UPDATE
SET state = EXCLUDED.state,
    since = CASE WHEN h.state = EXCLUDED.state THEN h.since ELSE EXCLUDED.since END,
    seen_at = CASE WHEN h.state = EXCLUDED.state THEN greatest(h.seen_at, EXCLUDED.seen_at) ELSE EXCLUDED.seen_at END,
    reason = EXCLUDED.reason
WHERE h.state = EXCLUDED.state
   OR h.seen_at > clock_timestamp()
   OR (
       h.seen_at <= EXCLUDED.seen_at
       AND (
           h.state NOT IN ('refusing', 'login_failed')
           OR h.seen_at < clock_timestamp() - make_interval(secs => %(calm_seconds)s::float8)
       )
   );
