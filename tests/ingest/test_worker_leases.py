"""A worker keeps its lease while it reads, gives it back when it stops, and stores nothing once it lost it."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from diamond_opus.domain.selection import Selection
from diamond_opus.queue.protocol import WORK_ITEMS
from diamond_opus.runs import leases, store
from diamond_opus.runs.model import Run, RunState
from pipeline_builders import Pool, World, work_item
from pipeline_supplier import ScriptedSupplier, stones

NATURAL = "natural-01"


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(120), *stones(10, lab_grown=True)]))


class Held:
    """A hook that stops a worker at its nth page of natural stones and lets it go on when told."""

    def __init__(self, at_page: int = 1) -> None:
        self._left = at_page
        self.arrived = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, selection: Selection, offset: int) -> None:
        if selection.lab_grown:
            return
        self._left -= 1
        if self._left == 0:
            self.arrived.set()
            await self.go_on.wait()


async def handle(world: World, run: Run, partition_id: str = NATURAL) -> None:
    await world.another_process().worker().handle(work_item(run, partition_id))


async def state_of(world: World, run: Run, partition_id: str = NATURAL) -> dict[str, Any]:
    return await world.row(
        "SELECT *, next_attempt_at - clock_timestamp() AS waits FROM partition_progress"
        " WHERE run_id = %s AND partition_id = %s",
        run.run_id,
        partition_id,
    )


async def test_the_lease_is_renewed_while_the_supplier_takes_its_time(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(20)), worker_lease_seconds=0.4)
    run = await world.plan()
    held = Held()
    world.supplier.before_page = held
    working = asyncio.create_task(handle(world, run))
    await held.arrived.wait()
    first = (await state_of(world, run))["lease_expires_at"]
    for _ in range(500):
        if (await state_of(world, run))["lease_expires_at"] > first + timedelta(seconds=0.8):
            break
        await asyncio.sleep(0.02)

    held.go_on.set()
    await working

    partition = await state_of(world, run)
    assert (partition["state"], partition["attempts"]) == ("completed", 1)


async def test_a_worker_that_lost_its_lease_stores_nothing_and_its_successor_all(world: World) -> None:
    run = await world.plan()
    held = Held()
    world.supplier.before_page = held
    late = asyncio.create_task(handle(world, run))
    await held.arrived.wait()
    await world.expire_lease(run.run_id, NATURAL)
    for stone in list(world.supplier.stones.values()):
        if not stone.lab_grown:
            world.supplier.change(stone.stone_id, availability="HOLD")

    await handle(world, run)  # its hook lets every later page pass
    held.go_on.set()
    await late

    partition = await state_of(world, run)
    assert (partition["state"], partition["attempts"], partition["fetched_records"]) == ("completed", 2, 120)
    attempts = await world.rows("SELECT attempt, status FROM worker_runs ORDER BY attempt")
    assert attempts == [{"attempt": 1, "status": "failed"}, {"attempt": 2, "status": "completed"}]


async def test_a_successor_goes_on_at_the_cursor(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(350)), worker_max_offset=200)
    run = await world.plan()
    held = Held(at_page=8)
    world.supplier.before_page = held
    late = asyncio.create_task(handle(world, run))
    await held.arrived.wait()
    read = {asked for asked, _ in world.supplier.pages[:-1]} - {world.supplier.pages[-1][0]}
    assert read, "the first worker has ended a range"
    world.supplier.pages.clear()
    await world.expire_lease(run.run_id, NATURAL)

    await handle(world, run)

    assert not read & {asked for asked, _ in world.supplier.pages}
    assert await world.value("SELECT count(*) FROM raw_diamonds") == 350
    held.go_on.set()
    await late
    assert (await state_of(world, run))["state"] == "completed"


async def test_a_process_that_stops_gives_its_partition_back_at_once(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(350)), worker_max_offset=200)
    run = await world.plan()
    await world.lose_messages()
    held = Held(at_page=8)
    world.supplier.before_page = held
    stopping = asyncio.create_task(handle(world, run))
    await held.arrived.wait()

    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping

    partition = await state_of(world, run)
    assert (partition["state"], partition["failures"], partition["next_attempt_at"]) == ("pending", 0, None)
    assert partition["cursor"]["ranges"]
    world.supplier.before_page = None
    assert await world.deliver(WORK_ITEMS, world.process.worker().handle) == 1
    assert (await state_of(world, run))["state"] == "completed"
    assert await world.value("SELECT count(*) FROM raw_diamonds") == 350


async def test_a_cancelled_run_stops_its_worker_at_the_next_commit(world: World) -> None:
    run = await world.plan()
    held = Held(at_page=2)
    world.supplier.before_page = held
    working = asyncio.create_task(handle(world, run))
    await held.arrived.wait()
    async with world.pool.connection() as conn:
        await store.cancel_run(conn, run.run_id, actor="test")

    held.go_on.set()
    await working

    assert await world.value("SELECT count(*) FROM raw_diamonds") == 0
    assert (await world.get_run(run.run_id)).state is RunState.CANCELLED
    assert world.alerts.events == []


async def test_a_worker_that_dies_again_and_again_fails_the_partition(world: World) -> None:
    run = await world.plan()
    for _ in range(6):
        async with world.pool.connection() as conn:
            await leases.claim_partition(
                conn,
                run.run_id,
                NATURAL,
                worker_id=uuid4(),
                lease_seconds=60,
                payload={},
            )
        await world.expire_lease(run.run_id, NATURAL)

    await handle(world, run)

    partition = await state_of(world, run)
    assert partition["state"] == "failed"
    assert partition["last_error"] == "its workers stopped renewing their leases, again and again"
