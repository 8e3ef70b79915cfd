"""A run goes only where it may: the database refuses every other step, whoever asks, and however many ask at once."""

import asyncio
from itertools import product
from uuid import uuid4

import psycopg
import pytest

from diamond_opus.runs import leases, store
from diamond_opus.runs.model import (
    ClaimedPartition,
    LeaseLost,
    PartitionState,
    Run,
    RunRefused,
    RunState,
    RunType,
)
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, ScriptedSupplier, stones
from run_steps import cancel, claim, end, leave, retry

RUN_STEPS = {
    ("planned", "ingesting"),
    ("planned", "ingested"),
    ("planned", "failed"),
    ("planned", "cancelled"),
    ("ingesting", "ingested"),
    ("ingesting", "failed"),
    ("ingesting", "cancelled"),
    ("ingested", "consolidating"),
    ("ingested", "failed"),
    ("ingested", "cancelled"),
    ("consolidating", "completed"),
    ("consolidating", "failed"),
    ("consolidating", "cancelled"),
    ("failed", "ingesting"),
    ("failed", "consolidating"),
    ("failed", "cancelled"),
}
PARTITION_STEPS = {
    ("pending", "running"),
    ("running", "pending"),
    ("running", "completed"),
    ("running", "failed"),
    ("failed", "pending"),
}


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(30), *stones(5, lab_grown=True)]))


async def test_the_database_refuses_every_step_that_a_run_may_not_take(world: World) -> None:
    states = [state.value for state in RunState]
    await world.rows("ALTER TABLE run_metadata DISABLE TRIGGER run_transition")
    await world.rows("DROP INDEX run_metadata_one_active_per_feed")
    refused: set[object] = set()
    for before, after in product(states, states):
        run_id = uuid4()
        await world.rows(
            "INSERT INTO run_metadata (run_id, feed, run_type, state, expected_workers, updated_to, trace_id)"
            " VALUES (%s, 'nivoda', 'full', %s, 0, now(), 't')",
            run_id,
            before,
        )
        await world.rows("ALTER TABLE run_metadata ENABLE TRIGGER run_transition")
        try:
            await world.rows("UPDATE run_metadata SET state = %s WHERE run_id = %s", after, run_id)
        except psycopg.errors.CheckViolation as error:
            refused.add(
                (before, after) if f"cannot go from {before} to {after}" in str(error) else str(error)
            )
        await world.rows("ALTER TABLE run_metadata DISABLE TRIGGER run_transition")

    assert refused == {step for step in product(states, states) if step[0] != step[1]} - RUN_STEPS


async def test_the_database_refuses_every_step_that_a_partition_may_not_take(world: World) -> None:
    run = await world.plan()
    states = [state.value for state in PartitionState]
    refused: set[object] = set()
    for before, after in product(states, states):
        await world.rows("ALTER TABLE partition_progress DISABLE TRIGGER USER")
        await set_partition(world, before)
        await world.rows("ALTER TABLE partition_progress ENABLE TRIGGER USER")
        try:
            await set_partition(world, after)
        except psycopg.errors.CheckViolation as error:
            said = f"of run {run.run_id} cannot go from {before} to {after}"
            refused.add((before, after) if said in str(error) else str(error))

    assert refused == {step for step in product(states, states) if step[0] != step[1]} - PARTITION_STEPS


async def set_partition(world: World, state: str) -> None:
    token = uuid4() if state == "running" else None
    await world.rows(
        "UPDATE partition_progress SET state = %s, lease_token = %s WHERE partition_id = 'natural-01'",
        state,
        token,
    )


async def test_only_a_running_partition_has_a_lease(world: World) -> None:
    await world.plan()
    with pytest.raises(psycopg.errors.CheckViolation):
        await world.rows("UPDATE partition_progress SET lease_token = gen_random_uuid()")


async def test_a_feed_has_one_active_run(world: World) -> None:
    run = await world.plan()

    with pytest.raises(RunRefused, match=f"already has an active run, {run.run_id}"):
        await world.plan()

    await cancel(world, run)
    assert (await world.plan()).run_id != run.run_id


async def test_of_planners_at_the_same_moment_exactly_one_succeeds(world: World) -> None:
    """All of them look before any of them has stored its run: only the database can decide."""
    looked = 0
    all_looked = asyncio.Event()

    async def wait_for_the_others(*_: object) -> None:
        nonlocal looked
        looked += 1
        if looked == 4 * 2:
            all_looked.set()
        await asyncio.wait_for(all_looked.wait(), 30)

    world.supplier.before_count = wait_for_the_others

    outcomes = await asyncio.gather(*(world.plan() for _ in range(4)), return_exceptions=True)

    planned = [outcome for outcome in outcomes if isinstance(outcome, Run)]
    assert len(planned) == 1
    assert [type(o) for o in outcomes if o not in planned] == [RunRefused] * 3
    assert await world.value("SELECT count(*) FROM run_metadata") == 1
    assert await world.value("SELECT count(*) FROM partition_progress") == 4


async def test_two_feeds_may_run_side_by_side(world: World) -> None:
    run = await world.plan()
    await world.rows(
        "INSERT INTO run_metadata (feed, run_type, expected_workers, updated_to, trace_id)"
        " VALUES ('another', 'full', 0, now(), 't')"
    )
    async with world.pool.connection() as conn:
        found = await store.find_active_run(conn, FEED)
    assert found is not None
    assert found.run_id == run.run_id


async def test_when_the_last_two_partitions_end_at_once_exactly_one_ends_the_reading(world: World) -> None:
    """Each of them ends its partition in a transaction that is open while the other one does the same."""
    for _ in range(5):
        run = await world.plan(RunType.FULL)
        for partition_id in ("natural-01", "lab-grown-01"):
            await end(world, run, partition_id, PartitionState.COMPLETED)
        last = [await claim(world, run, f"catch-up-{kind}") for kind in ("natural", "lab-grown")]
        both_wrote = asyncio.Barrier(2)

        async def settle(claimed: ClaimedPartition, both: asyncio.Barrier = both_wrote) -> RunState:
            async with world.pool.connection() as conn:
                await both.wait()
                return await leases.leave_partition(conn, claimed, state=PartitionState.COMPLETED)

        states = await asyncio.gather(*(settle(claimed) for claimed in last))

        assert sorted(states) == [RunState.INGESTED, RunState.INGESTING]
        assert (await world.get_run(run.run_id)).state is RunState.INGESTED
        await cancel(world, run)


async def test_an_end_that_waits_for_another_uncommitted_one_sees_it(world: World) -> None:
    """The tally is taken under the run's row lock: the second one cannot count before the first is committed."""
    run = await world.plan()
    for partition_id in ("natural-01", "lab-grown-01"):
        await end(world, run, partition_id, PartitionState.COMPLETED)
    first, second = [await claim(world, run, f"catch-up-{kind}") for kind in ("natural", "lab-grown")]
    async with world.pool.connection() as conn:
        async with conn.transaction():
            state = await leases.leave_partition(conn, first, state=PartitionState.COMPLETED)
            assert state is RunState.INGESTING
            waiting = asyncio.create_task(leave(world, second, PartitionState.COMPLETED))
            await world.somebody_waits_for_a_lock()
            assert not waiting.done()
        assert await waiting is RunState.INGESTED


async def test_the_counters_follow_the_partitions_through_failure_and_retry(world: World) -> None:
    run = await world.plan()

    async def counters() -> tuple[int, int]:
        found = await world.get_run(run.run_id)
        return found.completed_workers, found.failed_workers

    assert run.expected_workers == 4
    assert await counters() == (0, 0)
    await end(world, run, "lab-grown-01", PartitionState.COMPLETED)
    assert await counters() == (1, 0)
    await end(world, run, "natural-01", PartitionState.FAILED)
    assert await counters() == (1, 1)
    await retry(world, run)
    assert await counters() == (1, 0)
    await end(world, run, "natural-01", PartitionState.COMPLETED)
    assert await counters() == (2, 0)


async def test_a_failed_partition_fails_the_run_with_its_reason_when_all_ranges_are_settled(
    world: World,
) -> None:
    run = await world.plan()
    assert await end(world, run, "natural-01", PartitionState.FAILED) is RunState.INGESTING
    assert await end(world, run, "lab-grown-01", PartitionState.COMPLETED) is RunState.FAILED

    failed = await world.get_run(run.run_id)
    assert failed.error == "1 partitions failed: natural-01: the supplier refuses"
    assert failed.state.is_over


async def test_a_failed_catch_up_waits_for_the_other_one_that_is_at_work(world: World) -> None:
    run = await world.plan()
    for partition_id in ("natural-01", "lab-grown-01"):
        await end(world, run, partition_id, PartitionState.COMPLETED)
    at_work = await claim(world, run, "catch-up-lab-grown")

    assert await end(world, run, "catch-up-natural", PartitionState.FAILED) is RunState.INGESTING
    assert await leave(world, at_work, PartitionState.COMPLETED) is RunState.FAILED


async def test_an_end_that_lost_its_lease_settles_nothing(world: World) -> None:
    run = await world.plan()
    await end(world, run, "lab-grown-01", PartitionState.COMPLETED)
    late = await claim(world, run, "natural-01")
    await world.expire_lease(run.run_id, "natural-01")
    await claim(world, run, "natural-01")
    with pytest.raises(LeaseLost):
        await leave(world, late, PartitionState.FAILED)
    assert (await world.get_run(run.run_id)).state is RunState.INGESTING
    assert (await world.get_run(run.run_id)).failed_workers == 0
