"""Who stops in the middle of a transaction keeps its locks for half a minute, and not for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest

from diamond_opus.db.errors import is_transient
from diamond_opus.db.pool import Pool, connect, transaction
from diamond_opus.db.standstill import end_standing_sessions
from diamond_opus.trade.model import StoneKey
from diamond_opus.trade.stones import lock_stone


async def value_of(conn: psycopg.AsyncConnection[object], name: str) -> object:
    row = await (await conn.execute("SELECT setting FROM pg_settings WHERE name = %s", (name,))).fetchone()
    return row[0] if isinstance(row, tuple) else row


async def test_every_connection_is_given_up_by_the_server_when_it_stands_still(
    pool: Pool, database_url: str
) -> None:
    async with pool.connection() as conn:
        assert await value_of(conn, "idle_in_transaction_session_timeout") == "30000"
    async with await connect(database_url, application_name="test") as conn:
        assert await value_of(conn, "idle_in_transaction_session_timeout") == "30000"


async def test_a_reader_may_stand_still_for_it_holds_no_row(pool: Pool) -> None:
    async with pool.connection() as conn:
        async with transaction(conn, snapshot=True):
            assert await value_of(conn, "idle_in_transaction_session_timeout") == "0"
        assert await value_of(conn, "idle_in_transaction_session_timeout") == "30000"


async def test_the_rows_of_one_that_stands_still_come_free(pool: Pool) -> None:
    async with pool.connection() as stuck, pool.connection() as other:
        # In one message: between two of them the time-out would count already.
        await stuck.execute(
            "BEGIN; UPDATE pricing_rules SET rating = rating; SET idle_in_transaction_session_timeout = '300ms'"
        )
        await asyncio.wait_for(other.execute("UPDATE pricing_rules SET rating = rating"), 5)
        with pytest.raises(psycopg.Error) as lost:
            await stuck.execute("COMMIT")
    assert is_transient(lost.value), "whoever wakes up tries again"


LONGEST = 0.2


@asynccontextmanager
async def standing(database_url: str, application_name: str) -> AsyncIterator[None]:
    """One in the middle of a COPY: the server's own time-out does not count there."""
    conn = await psycopg.AsyncConnection.connect(database_url, application_name=application_name)
    conn.pgconn.send_query(
        b"BEGIN; SET idle_in_transaction_session_timeout = 100;"
        b" UPDATE pricing_rules SET rating = rating;"
        b" COPY duties FROM STDIN"
    )
    await asyncio.sleep(2 * LONGEST)
    try:
        yield
    finally:
        await conn.close()


async def is_there(pool: Pool, application_name: str) -> bool:
    async with pool.connection() as conn:
        await asyncio.sleep(0.1)
        rows = await conn.execute(
            "SELECT FROM pg_stat_activity WHERE application_name = %s", (application_name,)
        )
        return await rows.fetchone() is not None


async def test_one_that_stands_still_in_the_middle_of_a_statement_is_ended_by_others(
    pool: Pool, database_url: str
) -> None:
    async with standing(database_url, "diamond silent"), pool.connection() as conn:
        assert await end_standing_sessions(conn, longest_seconds=LONGEST) == ["diamond silent"]
        assert not await is_there(pool, "diamond silent")
        await asyncio.wait_for(conn.execute("UPDATE pricing_rules SET rating = rating"), 5)
        assert await end_standing_sessions(conn, longest_seconds=LONGEST) == []


async def test_sessions_of_others_and_those_that_only_read_may_stand_still(
    pool: Pool, database_url: str
) -> None:
    async with (
        standing(database_url, "psql"),
        await connect(database_url, application_name="diamond export") as reader,
        transaction(reader, snapshot=True),
        pool.connection() as conn,
    ):
        await reader.execute("SELECT count(*) FROM diamonds")
        await asyncio.sleep(2 * LONGEST)
        assert await end_standing_sessions(conn, longest_seconds=LONGEST) == []
        assert await is_there(pool, "psql")


async def test_one_that_works_for_long_is_left_alone(pool: Pool, database_url: str) -> None:
    async with (
        await connect(database_url, application_name="diamond busy") as busy,
        pool.connection() as conn,
    ):
        await busy.execute("BEGIN")
        await busy.execute("UPDATE pricing_rules SET rating = rating")
        working = asyncio.create_task(busy.execute("SELECT pg_sleep(600)"))
        await asyncio.sleep(2 * LONGEST)
        assert await end_standing_sessions(conn, longest_seconds=LONGEST) == []
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def test_one_that_has_just_said_something_is_left_alone(pool: Pool, database_url: str) -> None:
    async with (
        await connect(database_url, application_name="diamond busy") as busy,
        pool.connection() as conn,
    ):
        await busy.execute("BEGIN")
        await busy.execute("UPDATE pricing_rules SET rating = rating")
        for _ in range(20):
            assert await end_standing_sessions(conn, longest_seconds=60) == []
        await busy.execute("COMMIT")


async def test_one_that_stands_still_on_the_lock_of_a_stone_is_ended_behind_a_pooler_too(
    pool: Pool, database_url: str
) -> None:
    """A pooler keeps no setting of a session; and that lock is taken before anything is written."""
    silent = await connect(database_url, application_name="diamond api")
    await silent.execute("SET idle_in_transaction_session_timeout = 0")
    await silent.execute("BEGIN")
    await lock_stone(silent, StoneKey("feed", "stone"))
    await asyncio.sleep(2 * LONGEST)
    async with pool.connection() as conn:
        assert await end_standing_sessions(conn, longest_seconds=LONGEST) == ["diamond api"]
    await silent.close()
