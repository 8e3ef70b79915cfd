-- name: open_account
-- An account's first request finds no row; it starts slowly.
INSERT INTO request_budget (account, rate, next_slot_at, updated_at)
VALUES (%(account)s, %(start_per_second)s, clock_timestamp(), clock_timestamp())
ON CONFLICT (account) DO NOTHING;

-- name: book_slot
-- Take the account's next slot and put the one after it behind, in one statement; the row lock is the fence.
-- The caller's answers since its last slot move the rate (climb), upwards only outside a pause. A rate of one or
-- more counts whole, so that no second holds more requests than it says. Times leave as differences on this
-- server's clock; server_seconds is how long the statement waited here. A slot or a pause further ahead than the longest
-- pause that is taken at its word (an hour) was booked before the clock was set back, and is over.
WITH held AS (
    SELECT
        rate,
        CASE WHEN next_slot_at < clock_timestamp() + interval '70 minutes' THEN next_slot_at END AS next_slot_at,
        CASE WHEN paused_until < clock_timestamp() + interval '70 minutes' THEN paused_until END AS paused_until
    FROM request_budget
    WHERE account = %(account)s
    FOR UPDATE
),
climbed AS (
    SELECT
        greatest(next_slot_at, paused_until, clock_timestamp()) AS slot_at,
        least(
            %(max_per_second)s::float8,
            greatest(
                %(min_per_second)s::float8,
                rate::float8 + CASE
                    WHEN paused_until > clock_timestamp() THEN least(%(climb)s::float8, 0)
                    ELSE %(climb)s::float8
                END
            )
        ) AS rate
    FROM held
)
UPDATE request_budget AS b
SET rate = c.rate,
    next_slot_at = c.slot_at + make_interval(
        secs => %(slack_seconds)s::float8
            + %(window_seconds)s::float8 / CASE WHEN c.rate >= 1 THEN floor(c.rate) ELSE c.rate END
    ),
    updated_at = clock_timestamp()
FROM climbed AS c
WHERE b.account = %(account)s
RETURNING
    extract(EPOCH FROM c.slot_at - clock_timestamp())::float8 AS wait_seconds,
    extract(EPOCH FROM clock_timestamp() - statement_timestamp())::float8 AS server_seconds,
    b.rate::float8;

-- name: back_off
-- Pause everybody; halve the rate only if the refused request was sent outside any earlier pause, so that twenty
-- refusals of one incident halve it once.
UPDATE request_budget
SET rate = CASE
        WHEN coalesce(paused_until, '-infinity') > clock_timestamp() - make_interval(secs => %(answer_seconds)s::float8)
            THEN rate
        ELSE greatest(%(min_per_second)s::float8, rate::float8 / 2)
    END,
    last_backoff_at = CASE
        WHEN coalesce(paused_until, '-infinity') > clock_timestamp() - make_interval(secs => %(answer_seconds)s::float8)
            THEN last_backoff_at
        ELSE clock_timestamp()
    END,
    paused_until = greatest(
        CASE WHEN paused_until < clock_timestamp() + interval '70 minutes' THEN paused_until END,
        clock_timestamp() + make_interval(secs => %(pause_seconds)s::float8)
    ),
    updated_at = clock_timestamp()
WHERE account = %(account)s;
