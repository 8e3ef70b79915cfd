-- name: last_starts
-- A replay reads nothing, so it is no run that the clock could have meant.
-- By the database's clock, which also stamps the starts: two processes with different clocks agree on what is due. A start
-- in the future is one from before that clock was set back; it says nothing of what is due now.
SELECT
    clock_timestamp() AS now,
    max(started_at) AS any_run,
    max(started_at) FILTER (WHERE run_type = 'full') AS full_run
FROM run_metadata
WHERE feed = %(feed)s
  AND NOT is_replay
  AND started_at <= clock_timestamp();
