"""When a process that was asked to stop at idle stops: never before what is due is done, nor waiting for the living."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from diamond_opus.cli.idle import OpenWork, Tending, consolidate_until_idle, work_until_idle
from diamond_opus.domain.errors import Retryable
from diamond_opus.domain.selection import Selection
from diamond_opus.runs.model import PartitionState, RunState
from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def never() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def in_time() -> AsyncIterator[None]:
    """A process that does not stop is a failure, and soon."""
    async with asyncio.timeout(20):
        yield


def held(key: str, seconds: int) -> OpenWork:
    return OpenWork(key, "held", NOW + timedelta(seconds=seconds))


def test_nothing_open_is_idle() -> None:
    assert Tending().is_idle([])


def test_work_that_waits_for_its_next_attempt_is_not_idle() -> None:
    assert not Tending().is_idle([OpenWork("a", "open", None)])


def test_a_lease_counts_as_tended_only_when_it_was_renewed_under_our_eyes() -> None:
    tending = Tending()
    assert not tending.is_idle([held("a", 10)])
    assert not tending.is_idle([held("a", 10)])
    assert tending.is_idle([held("a", 40)])
    assert tending.is_idle([held("a", 40), OpenWork("catch-up", "blocked", None)])
    assert not tending.is_idle([held("a", 40), held("b", 40)])


def test_a_partition_that_was_let_go_and_taken_again_is_looked_at_anew() -> None:
    tending = Tending()
    tending.is_idle([held("a", 10)])
    tending.is_idle([])
    assert not tending.is_idle([held("a", 50)])


async def test_a_worker_finds_work_whose_messages_were_all_lost(
    pool: Pool, never: asyncio.Event, in_time: None
) -> None:
    world = World(pool, ScriptedSupplier(stones(60)))
    run = await world.plan()
    await world.lose_messages()
    await work_until_idle(world.process, never)
    assert (await world.get_run(run.run_id)).state is RunState.INGESTED


async def test_a_worker_waits_out_a_back_off(pool: Pool, never: asyncio.Event, in_time: None) -> None:
    supplier = ScriptedSupplier(stones(60))
    world = World(pool, supplier, retry_first_backoff_seconds=1.5)
    failures = [Retryable("no answer")]

    async def fail_once(_asked: Selection, _offset: int) -> None:
        if failures:
            raise failures.pop()

    supplier.before_page = fail_once
    run = await world.plan()
    await work_until_idle(world.process, never)
    assert (await world.get_run(run.run_id)).state is RunState.INGESTED


async def hold(world: World, run_id: Any, *, seconds: float) -> str:
    """Lease the first partition as a worker would that is then never heard of."""
    async with world.pool.connection() as conn:
        cursor = await conn.execute(
            "UPDATE partition_progress SET state = 'running', lease_token = gen_random_uuid(),"
            " lease_expires_at = clock_timestamp() + make_interval(secs => %s), attempts = 1"
            " WHERE run_id = %s AND partition_id = (SELECT min(partition_id) FROM partition_progress"
            " WHERE run_id = %s AND kind = 'range') RETURNING partition_id",
            (seconds, run_id, run_id),
        )
        [row] = await cursor.fetchall()
    partition_id: str = row[0]
    return partition_id


async def test_a_worker_takes_over_from_one_that_died_when_its_lease_ends(
    pool: Pool, never: asyncio.Event, in_time: None
) -> None:
    world = World(pool, ScriptedSupplier(stones(60)))
    run = await world.plan()
    await hold(world, run.run_id, seconds=1)
    await work_until_idle(world.process, never)
    assert (await world.get_run(run.run_id)).state is RunState.INGESTED


async def test_a_worker_leaves_a_partition_to_another_that_renews_its_lease(
    pool: Pool, never: asyncio.Event, in_time: None
) -> None:
    world = World(pool, ScriptedSupplier([*stones(60), *stones(60, lab_grown=True)]))
    run = await world.plan()
    partition_id = await hold(world, run.run_id, seconds=600)

    async def tend() -> None:
        while True:
            async with pool.connection() as conn:
                await conn.execute(
                    "UPDATE partition_progress SET lease_expires_at = clock_timestamp() + interval '600 s'"
                    " WHERE run_id = %s AND partition_id = %s",
                    (run.run_id, partition_id),
                )
            await asyncio.sleep(0.3)

    other = asyncio.create_task(tend())
    try:
        await work_until_idle(world.process, never)
    finally:
        other.cancel()
    partitions = await world.partitions(run.run_id)
    left = [p for p in partitions.values() if p.kind == "range" and p.state is not PartitionState.COMPLETED]
    assert [p.partition_id for p in left] == [partition_id]


async def test_a_consolidator_ends_a_run_whose_message_was_lost(
    pool: Pool, never: asyncio.Event, in_time: None
) -> None:
    world = World(pool, ScriptedSupplier(stones(60)))
    run = await world.plan()
    await world.work()
    await world.lose_messages()
    await consolidate_until_idle(world.process, never)
    assert (await world.get_run(run.run_id)).state is RunState.COMPLETED


async def test_a_consolidator_does_not_wait_for_a_run_that_is_still_read(
    pool: Pool, never: asyncio.Event, in_time: None
) -> None:
    world = World(pool, ScriptedSupplier(stones(60)))
    run = await world.plan()
    await consolidate_until_idle(world.process, never)
    assert (await world.get_run(run.run_id)).state is RunState.PLANNED


async def test_a_stop_is_obeyed_while_something_waits(
    pool: Pool, never: asyncio.Event, in_time: None
) -> None:
    world = World(pool, ScriptedSupplier(stones(60)))
    run = await world.plan()
    await hold(world, run.run_id, seconds=600)
    working = asyncio.create_task(work_until_idle(world.process, never))
    await asyncio.sleep(0)
    never.set()
    await working
    assert (await world.get_run(run.run_id)).state is not RunState.INGESTED
