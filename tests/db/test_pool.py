"""Pools, transactions and retries as a user meets them: real refusals, real conflicts, real lost connections."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from diamond_opus.db.errors import (
    AnswerTimeout,
    DatabaseUnavailable,
    describe_address,
    is_outage,
    is_transient,
    outages_are_retryable,
)
from diamond_opus.db.pool import Pool, connect, open_pool, patience, run_in_transaction, transaction
from diamond_opus.domain.errors import ConfigurationError
from faults.proxy import Line

SECRET = "hunter2-and-more"


async def fetch_value(conn: AsyncConnection[Any], query: str) -> Any:
    row = await (await conn.execute(query.encode())).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on: bound, so that nobody else takes it, but refusing connections."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def test_connections_are_in_autocommit_and_utc_without_prepared_statements(pool: Pool) -> None:
    async with pool.connection() as conn:
        assert conn.autocommit
        assert conn.prepare_threshold is None
        for _ in range(10):
            await conn.execute("SELECT %s", (1,))
        assert await fetch_value(conn, "SELECT count(*) FROM pg_prepared_statements") == 0
        assert await fetch_value(conn, "SHOW application_name") == "test"
        moment = await fetch_value(conn, "SELECT timestamptz '2026-01-01 12:00+02'")
        assert (moment, moment.utcoffset()) == (datetime(2026, 1, 1, 10, tzinfo=UTC), UTC.utcoffset(None))


async def test_a_database_with_another_time_zone_is_spoken_to_in_utc(database_url: str) -> None:
    name = conninfo_to_dict(database_url)["dbname"]
    async with await connect(database_url, application_name="test") as conn:
        await conn.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'".encode())

    async with (
        open_pool(database_url, application_name="test", max_size=1) as pool,
        pool.connection() as conn,
    ):
        assert await fetch_value(conn, "SHOW timezone") == "UTC"


async def test_a_pool_opens_nothing_until_it_is_used(closed_port: int) -> None:
    async with open_pool(f"host=127.0.0.1 port={closed_port}", application_name="test", max_size=2) as pool:
        assert pool.get_stats()["pool_size"] == 0


def test_a_pool_needs_a_database_that_somebody_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "foreign.example")
    for conninfo in ("", " "):
        with pytest.raises(ConfigurationError, match="set DATABASE_URL"):
            open_pool(conninfo, application_name="test", max_size=1)


async def test_a_refused_connection_names_the_address_and_what_to_check(closed_port: int) -> None:
    conninfo = f"postgresql://diamond:{SECRET}@127.0.0.1:{closed_port}/shop"

    with pytest.raises(DatabaseUnavailable) as caught:
        await connect(conninfo, application_name="api")

    message = str(caught.value)
    assert message.startswith(
        f'api: cannot connect to database "shop" at 127.0.0.1:{closed_port} as user "diamond"'
    )
    assert "check host and port" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"password": SECRET}, "check user and password"),
        ({"dbname": "nowhere"}, "that this database exists"),
        ({"password": None}, "asks for a password and none is set"),
    ],
)
async def test_a_refused_login_names_what_to_check(
    database_url: str, change: dict[str, Any], advice: str
) -> None:
    parts = {**conninfo_to_dict(database_url), **change}

    with pytest.raises(DatabaseUnavailable, match=advice) as caught:
        await connect(make_conninfo(**{k: v for k, v in parts.items() if v}), application_name="api")

    assert SECRET not in str(caught.value)


async def test_a_pool_that_cannot_connect_says_why_and_not_only_that_time_ran_out(closed_port: int) -> None:
    async with open_pool(
        f"postgresql://diamond:{SECRET}@127.0.0.1:{closed_port}/shop",
        application_name="worker",
        max_size=1,
        connect_timeout_seconds=0.2,
    ) as pool:
        with pytest.raises(
            DatabaseUnavailable, match=r"^worker: cannot connect to .*check host and port"
        ) as caught:
            async with pool.connection():
                pass

    assert SECRET not in str(caught.value)


async def test_an_exhausted_pool_says_that_all_connections_are_in_use(database_url: str) -> None:
    async with (
        open_pool(database_url, application_name="worker", max_size=1, connect_timeout_seconds=0.2) as pool,
        pool.connection(timeout=30),
    ):
        with pytest.raises(DatabaseUnavailable, match=r"^worker: all 1 connections .* in use for 0\.2 s"):
            async with pool.connection():
                pass


async def test_a_pool_serves_no_connection_that_the_server_has_closed(database_url: str) -> None:
    async with (
        await connect(database_url, application_name="test") as admin,
        open_pool(database_url, application_name="victim", max_size=3) as pool,
    ):
        async with pool.connection() as one, pool.connection() as two, pool.connection() as three:
            used = {conn.info.backend_pid for conn in (one, two, three)}

        await admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'victim'"
        )

        async with pool.connection() as one, pool.connection() as two, pool.connection() as three:
            now = {await fetch_value(conn, "SELECT pg_backend_pid()") for conn in (one, two, three)}
    assert len(used) == len(now) == 3
    assert not used & now


async def test_a_transaction_commits_or_leaves_nothing(pool: Pool) -> None:
    async def work(conn: AsyncConnection[Any], duty: str, divisor: int) -> None:
        async with transaction(conn):
            await conn.execute("INSERT INTO duties VALUES (%s, gen_random_uuid(), now())", (duty,))
            await conn.execute("SELECT 1 / %s", (divisor,))

    async with pool.connection() as conn:
        await work(conn, "kept", 1)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await work(conn, "lost", 0)
        assert await fetch_value(conn, "SELECT array_agg(duty) FROM duties") == ["kept"]


async def test_a_statement_timeout_holds_in_its_transaction_and_no_longer(pool: Pool) -> None:
    async with pool.connection() as conn:
        with pytest.raises(psycopg.errors.QueryCanceled) as caught:
            async with transaction(conn, statement_timeout_ms=20):
                await conn.execute("SELECT pg_sleep(60)")
        assert await fetch_value(conn, "SHOW statement_timeout") == "0"
    assert not is_transient(caught.value)


async def test_a_snapshot_sees_one_moment_and_may_not_write(pool: Pool) -> None:
    count = "SELECT count(*) FROM duties"
    insert = b"INSERT INTO duties VALUES ('x', gen_random_uuid(), now())"
    async with pool.connection() as conn, pool.connection() as other:
        async with transaction(conn, snapshot=True, statement_timeout_ms=5000):
            assert await fetch_value(conn, count) == 0
            await other.execute(insert)
            assert await fetch_value(conn, count) == 0
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                await conn.execute(insert)
        assert await fetch_value(conn, count) == 1


class Deadlock:
    """Two units of work that lock two rows in opposite order, so that PostgreSQL must refuse one of them."""

    def __init__(self) -> None:
        self.both_hold_one = asyncio.Barrier(2)
        self.attempts = 0

    async def work(self, conn: AsyncConnection[Any], first: str, second: str) -> str:
        self.attempts += 1
        await conn.execute("SET LOCAL deadlock_timeout = '10ms'")
        update = "UPDATE duties SET expires_at = now() WHERE duty = %s"
        await conn.execute(update, (first,))
        if self.attempts <= 2:
            await self.both_hold_one.wait()
        await conn.execute(update, (second,))
        return first + second


async def no_sleep(seconds: float) -> None:
    assert 0 < seconds <= 2


async def test_work_refused_by_a_deadlock_is_done_again(pool: Pool) -> None:
    deadlock = Deadlock()
    async with pool.connection() as conn:
        await conn.execute(
            "INSERT INTO duties SELECT d, gen_random_uuid(), now() FROM unnest('{a,b}'::text[]) AS d"
        )

    one_is_done = asyncio.Event()

    async def until_one_is_done(seconds: float) -> None:
        """Tried again at once, the refused one could lock its first row before the other gets it, and again."""
        await one_is_done.wait()

    async def do(first: str, second: str) -> str:
        rows = await run_in_transaction(
            pool, lambda conn: deadlock.work(conn, first, second), sleep=until_one_is_done
        )
        one_is_done.set()
        return rows

    done = await asyncio.gather(do("a", "b"), do("b", "a"))

    assert tuple(done) == ("ab", "ba")
    assert deadlock.attempts == 3


async def test_work_whose_connection_is_lost_is_done_again_on_another(pool: Pool) -> None:
    seen: list[int] = []

    async def work(conn: AsyncConnection[Any]) -> int:
        seen.append(conn.info.backend_pid)
        if len(seen) == 1:
            async with pool.connection() as other:
                await other.execute("SELECT pg_terminate_backend(%s, 5000)", (seen[0],))
        return int(await fetch_value(conn, "SELECT pg_backend_pid()"))

    assert await run_in_transaction(pool, work, sleep=no_sleep) == seen[1] != seen[0]


async def test_retries_end_with_the_error_itself(pool: Pool) -> None:
    attempts = 0

    async def work(conn: AsyncConnection[Any]) -> None:
        nonlocal attempts
        attempts += 1
        await conn.execute("DO $$ BEGIN RAISE EXCEPTION 'try again' USING ERRCODE = '40001'; END $$")

    with pytest.raises(psycopg.errors.SerializationFailure):
        await run_in_transaction(pool, work, attempts=4, sleep=no_sleep)
    assert attempts == 4


async def test_an_error_that_stays_is_not_tried_again(pool: Pool) -> None:
    attempts = 0

    async def work(conn: AsyncConnection[Any]) -> None:
        nonlocal attempts
        attempts += 1
        await conn.execute("SELECT 1/0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        await run_in_transaction(pool, work, sleep=no_sleep)
    assert attempts == 1


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("40001", True),
        ("40P01", True),
        ("53300", True),
        ("55P03", True),
        ("57P01", True),
        ("57P03", True),
        ("08006", True),
        ("08P01", True),
        ("57014", False),
        ("23505", False),
        ("42P01", False),
        ("53100", False),
    ],
)
def test_the_sqlstate_decides_whether_an_error_is_transient(sqlstate: str, expected: bool) -> None:
    assert is_transient(psycopg.errors.lookup(sqlstate)("words decide nothing")) is expected


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("57P01", True),
        ("53100", True),
        ("53200", True),
        ("58030", True),
        ("57014", True),
        ("25006", True),
        ("23505", False),
        ("42P01", False),
        ("22003", False),
    ],
)
def test_the_sqlstate_decides_whether_the_database_serves_nobody(sqlstate: str, expected: bool) -> None:
    error = psycopg.errors.lookup(sqlstate)("words decide nothing")
    assert is_outage(error) is expected
    with (
        pytest.raises(DatabaseUnavailable if expected else type(error)),
        outages_are_retryable("worker"),
    ):
        raise error


async def test_a_closed_pool_and_foreign_errors_are_not_transient(pool: Pool) -> None:
    await pool.close()
    with pytest.raises(psycopg.OperationalError) as caught:
        async with pool.connection():
            pass

    assert not is_transient(caught.value)
    assert not is_transient(ValueError("deadlock detected"))
    assert not is_transient(psycopg.InterfaceError("misuse"))
    assert is_transient(DatabaseUnavailable("worker: no connection"))


@pytest.mark.parametrize(
    ("conninfo", "address"),
    [
        (f"postgresql://u:{SECRET}@h:1/d", 'database "d" at h:1 as user "u"'),
        (f"host=h dbname=d user=u password={SECRET}", 'database "d" at h:5432 as user "u"'),
        ("user=u", 'database "u" at the local socket:5432 as user "u"'),
    ],
)
def test_an_address_is_described_without_its_password(conninfo: str, address: str) -> None:
    assert describe_address(conninfo) == address


async def test_a_statement_that_is_not_answered_is_given_up_and_the_work_goes_on(database_url: str) -> None:
    """Idle connections went the same way, and none of them costs another wait."""
    async with (
        Line(database_url) as line,
        open_pool(line.url, application_name="worker", max_size=3, answer_timeout_seconds=0.3) as pool,
    ):
        with patience(30):
            await asyncio.gather(*(_sleep(pool, 0.1) for _ in range(3)))
        line.deaden()
        started = asyncio.get_running_loop().time()

        assert await run_in_transaction(pool, lambda conn: fetch_value(conn, "SELECT 1")) == 1

        # One wait of 0.3 s for the answer and at most 10 s in which the driver tries to cancel.
        assert asyncio.get_running_loop().time() - started < 12


async def test_a_statement_that_takes_too_long_says_so_and_is_cancelled(database_url: str) -> None:
    async with open_pool(
        database_url, application_name="worker", max_size=2, answer_timeout_seconds=0.3
    ) as pool:
        async with pool.connection() as conn:
            with pytest.raises(AnswerTimeout, match=r"worker: database .* did not answer within 0\.3 s"):
                await conn.execute("SELECT pg_sleep(30)")
        async with pool.connection() as conn:
            running = await fetch_value(
                conn,
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30%'"
                " AND state = 'active'",
            )
            assert running == 0


async def test_a_statement_over_the_whole_inventory_has_more_time(database_url: str) -> None:
    async with open_pool(
        database_url, application_name="worker", max_size=1, answer_timeout_seconds=0.2
    ) as pool:
        with patience(30):
            await _sleep(pool, 0.5)


async def _sleep(pool: Pool, seconds: float) -> None:
    async with pool.connection() as conn:
        await conn.execute("SELECT pg_sleep(%s)", (seconds,))
