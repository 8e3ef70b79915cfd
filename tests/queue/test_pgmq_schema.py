"""The migration step that installs the queues: complete, undone completely, careful with others' schemas."""

from typing import Any

import pytest
from psycopg import AsyncConnection

from diamond_opus.db.pool import Pool
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.queue import pgmq_schema
from diamond_opus.queue.pgmq_schema import PGMQ_STEP
from diamond_opus.queue.protocol import QUEUES

EXPECTED = {"work_items", "work_done", "consolidate", "work_items_dlq", "work_done_dlq", "consolidate_dlq"}


async def present_queues(conn: AsyncConnection[Any]) -> set[str] | None:
    cursor = await conn.execute("SELECT to_regnamespace('pgmq') IS NOT NULL")
    if await cursor.fetchone() != (True,):
        return None
    cursor = await conn.execute("SELECT queue_name FROM pgmq.meta")
    return {name for (name,) in await cursor.fetchall()}


async def test_a_migrated_database_has_each_queue_and_its_dead_letters(pool: Pool) -> None:
    async with pool.connection() as conn:
        assert await present_queues(conn) == EXPECTED
    assert {pgmq_schema.table_name(queue) for queue in QUEUES} <= EXPECTED


async def test_rollback_leaves_nothing_and_the_step_can_be_applied_again(pool: Pool) -> None:
    async with pool.connection() as conn, conn.transaction():
        await PGMQ_STEP.rollback(conn)
        after_rollback = await present_queues(conn)
        await PGMQ_STEP.apply(conn)
        after_apply = await present_queues(conn)

    assert after_rollback is None
    assert after_apply == EXPECTED


async def test_a_transaction_that_fails_after_the_step_takes_it_back(pool: Pool) -> None:
    async with pool.connection() as conn:
        await PGMQ_STEP.rollback(conn)
        async with conn.transaction(force_rollback=True):
            await PGMQ_STEP.apply(conn)

        assert await present_queues(conn) is None


async def test_a_schema_of_somebody_else_is_left_alone(pool: Pool) -> None:
    async with pool.connection() as conn:
        with pytest.raises(ConfigurationError, match="a schema pgmq that diamond-opus did not make"):
            await PGMQ_STEP.apply(conn)

        assert await present_queues(conn) == EXPECTED


async def test_the_extension_of_the_same_name_is_refused(pool: Pool) -> None:
    async with pool.connection() as conn, conn.transaction(force_rollback=True):
        await PGMQ_STEP.rollback(conn)
        await conn.execute(
            "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)"
            " VALUES (99999, 'pgmq', 10, 'public'::regnamespace, false, '1.5.0')"
        )

        with pytest.raises(ConfigurationError, match="the extension pgmq is enabled in this database"):
            await PGMQ_STEP.apply(conn)


@pytest.mark.parametrize("constant", ["WHEEL_VERSION", "SCRIPT_VERSION"])
async def test_another_version_of_the_wheel_is_refused_before_anything_changes(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, constant: str
) -> None:
    monkeypatch.setattr(pgmq_schema, constant, "9.9.9")
    async with pool.connection() as conn:
        await PGMQ_STEP.rollback(conn)
        with pytest.raises(ConfigurationError, match=r"the package pgmq is .*9\.9\.9.*install pgmq=="):
            await PGMQ_STEP.apply(conn)

        assert await present_queues(conn) is None


def test_the_step_is_recorded_under_the_version_of_its_wheel() -> None:
    assert PGMQ_STEP.version == "pgmq-1.1.4"
    assert "1.13.0" in PGMQ_STEP.description
