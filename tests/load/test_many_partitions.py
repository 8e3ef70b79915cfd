"""Ten thousand partitions cost ten thousand times what one costs, not the square of it."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from diamond_opus.queue.protocol import WORK_ITEMS
from diamond_opus.runs import leases, store
from diamond_opus.runs.model import PartitionPlan, PartitionState, RunPlan, RunState, RunType
from diamond_opus.wakeups import wake_partitions
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, ScriptedSupplier

_PARTITIONS = 10_000
_AT_ONCE = 4

#: Rows of partition_progress that may be looked at for each partition, planning, waking and ending included.
_MOST_ROWS = 30


def plan() -> RunPlan:
    ranges = [PartitionPlan(f"natural-{n:05d}", False, n, n + 1, 1) for n in range(_PARTITIONS - 1)]
    catch_up = PartitionPlan("catch-up-natural", False, 0, None, 0, is_catch_up=True)
    return RunPlan(
        feed=FEED,
        run_type=RunType.FULL,
        updated_from=None,
        updated_to=datetime.now(UTC),
        watermark_before=None,
        trace_id="load",
        expected_records=_PARTITIONS,
        partitions=(*ranges, catch_up),
    )


async def rows_looked_at(world: World) -> int:
    await world.rows("SELECT pg_stat_force_next_flush()")
    return int(
        await world.value(
            "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"
            " WHERE relname = 'partition_progress'"
        )
    )


@pytest.mark.long  # ten thousand claims and ends, each a transaction
@pytest.mark.timeout(300)
async def test_ten_thousand_partitions_are_planned_woken_and_ended_in_linear_work(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier())
    async with pool.connection() as conn:
        run_id = await store.create_run(conn, plan())
        await conn.execute("ANALYZE partition_progress")
        due = await store.take_due_partitions(conn, quiet_seconds=0, limit=_PARTITIONS)
    await wake_partitions(world.queues[WORK_ITEMS], due)
    assert len(due) == _PARTITIONS - 1, "the catch-up waits for the ranges"
    before = await rows_looked_at(world)

    *others, last = [one.partition_id for one in due]
    await end_all(world, run_id, others)
    assert await end(world, run_id, last) is RunState.INGESTING
    async with pool.connection() as conn:
        [catch_up] = await store.take_catch_up(conn, run_id)
    assert await end(world, run_id, catch_up.partition_id) is RunState.INGESTED

    run = await world.get_run(run_id)
    assert (run.completed_workers, run.failed_workers) == (_PARTITIONS, 0)
    assert await rows_looked_at(world) - before < _MOST_ROWS * _PARTITIONS


async def end_all(world: World, run_id: UUID, partition_ids: list[str]) -> None:
    """As workers do it, who look after each whether the catch-up is due: not while one range is open."""

    async def loop() -> None:
        while partition_ids:
            assert await end(world, run_id, partition_ids.pop()) is RunState.INGESTING
            async with world.pool.connection() as conn:
                assert await store.take_catch_up(conn, run_id) == []

    await asyncio.gather(*(loop() for _ in range(_AT_ONCE)))


async def end(world: World, run_id: UUID, partition_id: str) -> RunState:
    async with world.pool.connection() as conn:
        claimed = await leases.claim_partition(
            conn, run_id, partition_id, worker_id=uuid4(), lease_seconds=60, payload={}
        )
        assert claimed is not None
        return await leases.leave_partition(conn, claimed, state=PartitionState.COMPLETED)
