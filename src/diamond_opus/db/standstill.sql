-- name: end_standing_sessions
-- The server's own time-out covers only what waits between two statements. A client that stands still in the middle of
-- one (of a COPY, of a message that came in pieces, of an answer it does not take) keeps its locks without it, for ever
-- as long as its machine answers keepalives. Only sessions of this program that hold rows, or the lock of a stone: what
-- reads may be slow.
-- MATERIALIZED, for the planner puts conditions in an order of its own, and this end is no condition.
WITH standing AS MATERIALIZED (
    SELECT pid, application_name
    FROM pg_stat_activity AS a
    WHERE datname = current_database()
      AND usename = current_user
      AND application_name LIKE 'diamond %%'
      AND pid <> pg_backend_pid()
      AND (
          backend_xid IS NOT NULL
          OR EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.granted)
      )
      AND wait_event IN ('ClientRead', 'ClientWrite')
      AND state_change < clock_timestamp() - %(longest)s::interval
)
SELECT application_name
FROM standing
WHERE pg_terminate_backend(pid);
