-- name: look
-- All of it as (metric, label values, value), which Python only hands on: one exchange, 3 ms with a million stones, of
-- which 1 ms is the database's size. The metrics are described in observability/metrics.py. Stones are not counted here:
-- that took 600 ms, and the API's index knows. PGMQ counts its messages; there are as many as a run has partitions. Ages
-- are of this server's clock, so that no other has to agree. What never once succeeded is as old as the installation, as
-- conditions.sql has it: without a series no rule could tell of it.
WITH installed AS MATERIALIZED (
    SELECT min(applied_at) AS applied_at, min(applied_at) FILTER (WHERE version = '0011') AS upkeep_at
    FROM schema_migrations
),
newest AS MATERIALIZED (
    SELECT DISTINCT ON (feed) feed, state, started_at
    FROM run_metadata
    ORDER BY feed, started_at DESC
),
queues AS MATERIALIZED (
    SELECT q.name, live.*, dead.queue_length AS dead
    FROM unnest(%(queues)s::text[], %(tables)s::text[], %(dead_tables)s::text[]) AS q (name, live_table, dead_table),
        pgmq.metrics(q.live_table) AS live,
        pgmq.metrics(q.dead_table) AS dead
),
budget AS (
    SELECT rate, paused_until
    FROM request_budget
    ORDER BY updated_at DESC
    LIMIT 1
)
SELECT 'diamond_database_up' AS metric, ARRAY[]::text[] AS labels, 1::float8 AS value
UNION ALL
SELECT 'diamond_database_size_bytes', ARRAY[]::text[], pg_database_size(current_database())
UNION ALL
SELECT 'diamond_feed_age_seconds', ARRAY[f.feed],
    extract(EPOCH FROM clock_timestamp() - coalesce(last.updated_to, i.applied_at))
FROM installed AS i
CROSS JOIN unnest(%(feeds)s::text[]) AS f (feed)
CROSS JOIN LATERAL (
    SELECT max(updated_to) AS updated_to
    FROM run_metadata
    WHERE feed = f.feed AND state = 'completed' AND NOT is_replay AND NOT forced
) AS last
UNION ALL
SELECT 'diamond_run_state', ARRAY[n.feed, s.state], (n.state = s.state)::int
FROM newest AS n, unnest(%(run_states)s::text[]) AS s (state)
UNION ALL
SELECT 'diamond_run_age_seconds', ARRAY[feed], extract(EPOCH FROM clock_timestamp() - started_at)
FROM newest
UNION ALL
SELECT 'diamond_full_run_age_seconds', ARRAY[f.feed],
    extract(EPOCH FROM clock_timestamp() - coalesce(last.updated_to, i.applied_at))
FROM installed AS i
CROSS JOIN unnest(%(feeds)s::text[]) AS f (feed)
CROSS JOIN LATERAL (
    SELECT max(updated_to) AS updated_to
    FROM run_metadata
    WHERE feed = f.feed AND run_type = 'full' AND state = 'completed' AND NOT is_replay AND NOT forced
) AS last
UNION ALL
SELECT 'diamond_runs_unsuccessful', ARRAY[n.feed, t.run_type], count(r.run_id)
FROM newest AS n
CROSS JOIN unnest(%(run_types)s::text[]) AS t (run_type)
LEFT JOIN run_metadata AS r
    ON r.feed = n.feed
    AND r.run_type = t.run_type
    AND r.state IN ('failed', 'cancelled')
    AND NOT r.is_replay
    AND r.started_at > coalesce(
        (
            SELECT max(started_at) FROM run_metadata
            WHERE feed = n.feed AND run_type IN (t.run_type, 'full') AND state = 'completed'
              AND NOT is_replay AND NOT forced
        ),
        '-infinity'
    )
GROUP BY n.feed, t.run_type
UNION ALL
SELECT 'diamond_queue_messages', ARRAY[q.name, s.state], s.messages
FROM queues AS q,
    LATERAL (
        VALUES ('visible', q.queue_visible_length), ('hidden', q.queue_length - q.queue_visible_length)
    ) AS s (state, messages)
UNION ALL
SELECT 'diamond_queue_oldest_message_age_seconds', ARRAY[name], coalesce(oldest_msg_age_sec, 0)
FROM queues
UNION ALL
SELECT 'diamond_queue_dead_letters', ARRAY[name], dead
FROM queues
UNION ALL
-- A refusal that nobody has met for a while says nothing of now: whoever met it has ended, and nobody asks.
SELECT 'diamond_supplier_state', ARRAY[h.feed, s.state],
    (h.state = s.state AND (h.state <> 'refusing' OR h.seen_at > clock_timestamp() - interval '5 minutes'))::int
FROM supplier_health AS h, unnest(%(supplier_states)s::text[]) AS s (state)
UNION ALL
SELECT 'diamond_supplier_budget_requests_per_second', ARRAY[]::text[], rate
FROM budget
UNION ALL
SELECT 'diamond_supplier_budget_pause_seconds', ARRAY[]::text[],
    greatest(0, coalesce(extract(EPOCH FROM paused_until - clock_timestamp()), 0))
FROM budget
UNION ALL
SELECT 'diamond_incidents_open', ARRAY[event, severity], count(*)
FROM incidents
WHERE resolved_at IS NULL
GROUP BY event, severity
UNION ALL
SELECT 'diamond_alerts_undelivered', ARRAY[]::text[], count(*)
FROM alert_deliveries
WHERE state IN ('pending', 'sending')
UNION ALL
SELECT 'diamond_upkeep_age_seconds', ARRAY[t.task],
    extract(EPOCH FROM clock_timestamp() - coalesce(last.completed_at, i.upkeep_at))
FROM installed AS i
CROSS JOIN unnest(%(tasks)s::text[]) AS t (task)
CROSS JOIN LATERAL (SELECT max(completed_at) AS completed_at FROM upkeep WHERE task = t.task AND error IS NULL) AS last
UNION ALL
-- Not everybody makes backups here.
SELECT 'diamond_upkeep_age_seconds', ARRAY[task], extract(EPOCH FROM clock_timestamp() - max(completed_at))
FROM upkeep
WHERE task = 'backup' AND completed_at IS NOT NULL AND error IS NULL
GROUP BY task;
