"""The steps of a run, one call each, for tests of what follows from them."""

from uuid import uuid4

from diamond_opus.runs import consolidating, leases, store
from diamond_opus.runs.model import ClaimedPartition, PartitionState, Run, RunState, RunType
from pipeline_builders import World


async def claim(world: World, run: Run, partition_id: str) -> ClaimedPartition:
    async with world.pool.connection() as conn:
        claimed = await leases.claim_partition(
            conn, run.run_id, partition_id, worker_id=uuid4(), lease_seconds=60, payload={}
        )
    assert claimed is not None
    return claimed


async def end(world: World, run: Run, partition_id: str, state: PartitionState) -> RunState:
    """Claim a partition and end it at once."""
    claimed = await claim(world, run, partition_id)
    return await leave(world, claimed, state)


async def leave(world: World, claimed: ClaimedPartition, state: PartitionState) -> RunState:
    async with world.pool.connection() as conn:
        error = "the supplier refuses" if state is PartitionState.FAILED else None
        return await leases.leave_partition(conn, claimed, state=state, error=error)


async def retry(world: World, run: Run, partition_id: str | None = None) -> list[str]:
    async with world.pool.connection() as conn:
        return list(await store.retry_run(conn, run.run_id, partition_id=partition_id, actor="test"))


async def cancel(world: World, run: Run) -> None:
    async with world.pool.connection() as conn:
        await store.cancel_run(conn, run.run_id, actor="test")


async def start_consolidating(world: World, run: Run, *, force: bool = False) -> Run:
    async with world.pool.connection() as conn:
        return await consolidating.start_consolidating(conn, run.run_id, force=force, actor="test")


async def fail(world: World, run_type: RunType = RunType.FULL) -> Run:
    """A run whose natural stones could not be read."""
    run = await world.plan(run_type)
    await end(world, run, "lab-grown-01", PartitionState.COMPLETED)
    assert await end(world, run, "natural-01", PartitionState.FAILED) is RunState.FAILED
    return await world.get_run(run.run_id)
