"""A run has its time, and whoever comes after goes on where it stopped."""

from typing import Any
from uuid import UUID

import pytest

from diamond_opus.consolidate.batch import consolidate_batch
from diamond_opus.runs import consolidating, leases, store
from diamond_opus.runs.model import LeaseLost, PartitionState, Progress, Run, RunRefused, RunState
from diamond_opus.wiring import mappers
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, ScriptedSupplier, stones
from run_steps import cancel, claim, end, retry, start_consolidating


@pytest.fixture
async def world(pool: Pool) -> World:
    supplier = ScriptedSupplier([*stones(30), *stones(10, lab_grown=True)])
    return World(pool, supplier, run_timeout_seconds=3600, consolidator_batch_size=10)


async def let_time_pass(world: World, run: Run) -> None:
    """As if the run's time had just been over."""
    await world.rows(
        "UPDATE run_metadata SET deadline_at = now() - interval '1 second' WHERE run_id = %s", run.run_id
    )


async def seconds_left(world: World, run_id: UUID) -> float:
    return float(
        await world.value(
            "SELECT extract(EPOCH FROM deadline_at - now()) FROM run_metadata WHERE run_id = %s", run_id
        )
    )


async def xmins(world: World) -> dict[str, Any]:
    rows = await world.rows("SELECT supplier_stone_id AS id, xmin FROM diamonds")
    return {row["id"]: row["xmin"] for row in rows}


async def test_a_run_knows_until_when_it_may_take(world: World) -> None:
    run = await world.plan()
    assert run.deadline_at is not None
    assert 3590 < await seconds_left(world, run.run_id) <= 3600


async def test_a_run_that_is_overdue_while_it_is_read_fails_and_lets_its_partitions_go(world: World) -> None:
    run = await world.plan()
    held = await claim(world, run, "natural-01")
    await let_time_pass(world, run)

    await world.sweep()

    failed = await world.get_run(run.run_id)
    assert failed.state is RunState.FAILED
    assert failed.error == "the run was ingesting when its time was over (RUN_TIMEOUT_SECONDS)"
    partition = (await world.partitions(run.run_id))["natural-01"]
    assert partition.state is PartitionState.PENDING
    attempt = await world.row("SELECT status, error_message FROM worker_runs")
    assert attempt == {"status": "failed", "error_message": failed.error}
    [alert] = world.alerts.raised
    assert alert.event == "run_timed_out"
    assert f"diamond retry {run.run_id}" in alert.text
    async with world.pool.connection() as conn:
        with pytest.raises(LeaseLost):
            await leases.advance_partition(
                conn, held, Progress(cursor={}, fetched=5), number=0, lease_seconds=60
            )


async def test_a_retry_reads_what_was_left_and_has_the_whole_time_again(world: World) -> None:
    run = await world.plan()
    await end(world, run, "lab-grown-01", PartitionState.FAILED)
    await let_time_pass(world, run)
    await world.sweep()

    assert sorted(await retry(world, run)) == ["lab-grown-01", "natural-01"]

    assert 3590 < await seconds_left(world, run.run_id) <= 3600
    finished = await world.finish(run.run_id)
    assert (finished.state, finished.watermark_after) == (RunState.COMPLETED, run.updated_to)
    assert len(await world.active_ids()) == 40


async def test_a_catch_up_that_was_left_is_retried_when_no_range_is(world: World) -> None:
    run = await world.plan()
    for partition_id in ("natural-01", "lab-grown-01", "catch-up-natural"):
        await end(world, run, partition_id, PartitionState.COMPLETED)
    await let_time_pass(world, run)
    await world.sweep()
    assert await retry(world, run) == ["catch-up-lab-grown"]


async def test_a_run_that_nobody_began_to_read_times_out_as_well(world: World) -> None:
    run = await world.plan()
    await let_time_pass(world, run)
    await world.sweep()
    await retry(world, run)
    assert (await world.finish(run.run_id)).state is RunState.COMPLETED


async def test_a_consolidation_that_outlives_its_time_goes_on_where_it_was(world: World) -> None:
    run = await world.read_run()
    await start_consolidating(world, run)
    async with world.pool.connection() as conn, conn.transaction():
        await consolidate_batch(conn, run.run_id, FEED, mappers()[FEED], limit=10)
    first_batch = await xmins(world)
    await let_time_pass(world, run)
    await world.sweep()

    [alert] = world.alerts.raised
    assert (alert.event, f"diamond consolidate {run.run_id}" in alert.text) == ("run_timed_out", True)
    with pytest.raises(RunRefused, match="none is left to read"):
        await retry(world, run)
    await start_consolidating(world, run)
    assert 3590 < await seconds_left(world, run.run_id) <= 3600
    finished = await world.finish(run.run_id)

    assert (finished.state, finished.consolidation_processed) == (RunState.COMPLETED, 40)
    assert len(first_batch) == 10
    after = await xmins(world)
    assert {stone_id: after[stone_id] for stone_id in first_batch} == first_batch


async def test_who_ends_a_run_that_is_overdue_ends_it_no_more(world: World) -> None:
    run = await world.read_run()
    await start_consolidating(world, run)
    await world.process.consolidator()._drain(run)
    async with world.pool.connection() as conn:
        token = await consolidating.take_finalisation(conn, run.run_id, lease_seconds=60)
        assert token is not None
        await let_time_pass(world, run)
        await world.sweep()
        with pytest.raises(LeaseLost):
            await consolidating.renew_finalisation(conn, run.run_id, token, lease_seconds=60)
        with pytest.raises(LeaseLost):
            await consolidating.complete_run(conn, run.run_id, token, watermark_after=run.updated_to)
    assert await world.watermark() is None


async def test_runs_that_are_over_or_have_no_limit_are_left_alone(world: World) -> None:
    done = await world.run()
    await let_time_pass(world, done)
    cancelled = await world.plan()
    await cancel(world, cancelled)
    await let_time_pass(world, cancelled)
    unlimited = await world.plan()
    await world.rows(
        "UPDATE run_metadata SET deadline_at = NULL, time_limit = NULL WHERE run_id = %s", unlimited.run_id
    )

    async with world.pool.connection() as conn:
        assert await store.time_out_runs(conn) == []


async def test_a_run_that_is_retried_at_the_last_moment_keeps_its_partitions(world: World) -> None:
    """The sweeper saw it overdue; before it could say so, the run had its time again."""
    run = await world.plan()
    held = await claim(world, run, "natural-01")
    async with world.pool.connection() as conn:
        assert await store._time_out_run(conn, run.run_id) is False
        await leases.renew_partition(conn, held, lease_seconds=60)


async def test_an_overdue_run_whose_row_is_held_keeps_no_sweep_from_its_work(world: World) -> None:
    run = await world.plan()
    await let_time_pass(world, run)
    async with world.pool.connection() as conn, conn.transaction():
        await conn.execute("SELECT FROM run_metadata WHERE run_id = %s FOR UPDATE", (run.run_id,))
        async with world.pool.connection() as other:
            assert await store.time_out_runs(other) == []
    await world.sweep()
    assert (await world.get_run(run.run_id)).state is RunState.FAILED


async def test_a_retry_takes_what_was_claimed_while_the_time_ran_out(world: World) -> None:
    run = await world.plan()
    await let_time_pass(world, run)
    await world.sweep()
    await world.rows(
        "UPDATE partition_progress SET state = 'running', lease_token = gen_random_uuid(),"
        " lease_expires_at = now() + interval '1 minute' WHERE run_id = %s AND partition_id = 'natural-01'"
        " RETURNING 1",
        run.run_id,
    )
    async with world.pool.connection() as conn:
        assert "natural-01" in await store.retry_run(conn, run.run_id, actor="operator")
    assert (await world.partitions(run.run_id))["natural-01"].state is PartitionState.PENDING
