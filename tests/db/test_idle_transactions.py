"""Who stops in the middle of a transaction keeps its locks for half a minute, and not for ever."""

import asyncio

import psycopg
import pytest

from diamond_opus.db.errors import is_transient
from diamond_opus.db.pool import Pool, connect, transaction


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
        await stuck.execute("SET idle_in_transaction_session_timeout = '300ms'")
        await stuck.execute("BEGIN")
        await stuck.execute("UPDATE pricing_rules SET rating = rating")
        await asyncio.wait_for(other.execute("UPDATE pricing_rules SET rating = rating"), 5)
        with pytest.raises(psycopg.Error) as lost:
            await stuck.execute("COMMIT")
    assert is_transient(lost.value), "whoever wakes up tries again"
