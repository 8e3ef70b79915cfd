-- name: end_standing_sessions
-- The server's own time-out covers only what waits between two statements. A client that stands still in the middle of
-- one (of a COPY, of a message that came in pieces, of an answer it does not take) keeps its locks without it, for ever
-- as long as its machine answers keepalives. Only sessions of this program that hold rows: what reads may be slow.
SELECT application_name
FROM pg_stat_activity
WHERE datname = current_database()
  AND usename = current_user
  AND application_name LIKE 'diamond %%'
  AND pid <> pg_backend_pid()
  AND backend_xid IS NOT NULL
  AND wait_event IN ('ClientRead', 'ClientWrite')
  AND state_change < clock_timestamp() - %(longest)s::interval
  AND pg_terminate_backend(pid);
