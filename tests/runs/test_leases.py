"""A partition has one reader at a time, and a reader that came too late changes nothing."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from diamond_opus.runs import leases, store
from diamond_opus.runs.model import (
    ClaimedPartition,
    LeaseLost,
    PartitionState,
    Progress,
    Run,
    RunState,
)
from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones

LEASE = 60.0


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(30), *stones(5, lab_grown=True)]))


async def claim(world: World, run: Run, partition_id: str = "natural-01") -> ClaimedPartition | None:
    async with world.pool.connection() as conn:
        return await leases.claim_partition(
            conn, run.run_id, partition_id, worker_id=uuid4(), lease_seconds=LEASE, payload={}
        )


async def must_claim(world: World, run: Run, partition_id: str = "natural-01") -> ClaimedPartition:
    claimed = await claim(world, run, partition_id)
    assert claimed is not None
    return claimed


async def advance(
    world: World, claimed: ClaimedPartition, *, fetched: int = 7, at: int = 1, number: int = 0
) -> bool:
    async with world.pool.connection() as conn:
        progress = Progress(cursor={"ranges": [{"lab_grown": False, "price_from": at}]}, fetched=fetched)
        return await leases.advance_partition(
            conn, claimed, progress, number=claimed.commits + number, lease_seconds=LEASE
        )


async def leave(
    world: World, claimed: ClaimedPartition, state: PartitionState, *, error: str | None = None
) -> RunState:
    async with world.pool.connection() as conn:
        return await leases.leave_partition(conn, claimed, state=state, error=error)


async def renew(world: World, claimed: ClaimedPartition) -> None:
    async with world.pool.connection() as conn:
        await leases.renew_partition(conn, claimed, lease_seconds=LEASE)


async def test_the_first_claim_starts_the_run_and_records_the_attempt(world: World) -> None:
    run = await world.plan()
    assert run.state is RunState.PLANNED

    claimed = await must_claim(world, run)

    assert (await world.get_run(run.run_id)).state is RunState.INGESTING
    assert (claimed.attempt, claimed.failures, claimed.cursor) == (1, 0, {})
    attempt = await world.row("SELECT attempt, status, worker_id FROM worker_runs")
    assert (attempt["attempt"], attempt["status"]) == (1, "running")


async def test_two_workers_at_once_get_one_partition_once(world: World) -> None:
    run = await world.plan()

    claims = await asyncio.gather(*(claim(world, run) for _ in range(6)))

    assert sum(claimed is not None for claimed in claims) == 1
    assert await world.value("SELECT count(*) FROM worker_runs") == 1


async def test_a_leased_partition_is_nobody_elses_until_its_lease_ends(world: World) -> None:
    run = await world.plan()
    await must_claim(world, run)
    assert await claim(world, run) is None

    await world.expire_lease(run.run_id, "natural-01")

    assert (await must_claim(world, run)).attempt == 2


async def test_taking_over_from_a_dead_worker_counts_as_a_failure_and_closes_its_attempt(
    world: World,
) -> None:
    run = await world.plan()
    await must_claim(world, run)
    await world.expire_lease(run.run_id, "natural-01")

    again = await must_claim(world, run)

    assert again.failures == 1
    attempts = await world.rows("SELECT attempt, status, error_message FROM worker_runs ORDER BY attempt")
    assert [(a["attempt"], a["status"]) for a in attempts] == [(1, "failed"), (2, "running")]
    assert attempts[0]["error_message"] == "the worker stopped renewing its lease"


async def test_an_outage_of_the_database_that_outlasts_leases_is_no_failure(world: World) -> None:
    run = await world.plan()
    itself = uuid4()
    for _ in range(3):
        async with world.pool.connection() as conn:
            claimed = await leases.claim_partition(
                conn, run.run_id, "natural-01", worker_id=itself, lease_seconds=LEASE, payload={}
            )
        assert claimed is not None
        assert claimed.failures == 0, "its holder is back, and could not write meanwhile"
        await world.expire_lease(run.run_id, "natural-01")

    await world.rows("UPDATE partition_progress SET lease_expires_at = pg_postmaster_start_time()")
    assert (await must_claim(world, run)).failures == 0, "the server was away when the lease lapsed"


async def test_a_late_worker_can_neither_store_nor_renew_nor_end(world: World) -> None:
    run = await world.plan()
    late = await must_claim(world, run)
    await world.expire_lease(run.run_id, "natural-01")
    present = await must_claim(world, run)

    with pytest.raises(LeaseLost, match="natural-01"):
        await advance(world, late)
    with pytest.raises(LeaseLost):
        await renew(world, late)
    with pytest.raises(LeaseLost):
        await leave(world, late, PartitionState.COMPLETED)

    partition = (await world.partitions(run.run_id))["natural-01"]
    assert (partition.state, partition.fetched_records) == (PartitionState.RUNNING, 0)
    await advance(world, present)
    assert (await world.partitions(run.run_id))["natural-01"].fetched_records == 7


async def test_a_late_worker_that_nobody_replaced_may_go_on(world: World) -> None:
    """Its work is not lost to a slow moment: until somebody takes over, the token is still the right one."""
    run = await world.plan()
    claimed = await must_claim(world, run)
    await world.expire_lease(run.run_id, "natural-01")

    await advance(world, claimed)

    assert await claim(world, run) is None, "the progress extended the lease"


async def test_a_commit_whose_answer_was_lost_counts_once(world: World) -> None:
    run = await world.plan()
    claimed = await must_claim(world, run)
    assert await advance(world, claimed, at=1, number=0)

    assert not await advance(world, claimed, at=1, number=0)
    assert await advance(world, claimed, at=2, number=1)
    with pytest.raises(LeaseLost):
        await advance(world, claimed, at=1, number=0)

    await world.expire_lease(run.run_id, "natural-01")
    again = await must_claim(world, run)
    assert (again.commits, again.cursor["ranges"][0]["price_from"]) == (2, 2)
    assert (await world.partitions(run.run_id))["natural-01"].fetched_records == 14


async def test_a_forged_token_is_refused(world: World) -> None:
    run = await world.plan()
    claimed = await must_claim(world, run)

    with pytest.raises(LeaseLost):
        await advance(world, replace(claimed, lease_token=uuid4()))


async def test_a_cursor_that_moves_sets_the_failures_back_and_one_that_stands_does_not(world: World) -> None:
    run = await world.plan()
    for failures in (0, 1):
        claimed = await must_claim(world, run)
        assert claimed.failures == failures
        await world.expire_lease(run.run_id, "natural-01")
    claimed = await must_claim(world, run)
    assert claimed.failures == 2
    await advance(world, claimed, at=1)
    assert await world.value("SELECT failures FROM partition_progress WHERE partition_id = 'natural-01'") == 0

    await world.expire_lease(run.run_id, "natural-01")
    claimed = await must_claim(world, run)
    await advance(
        world, claimed, at=1
    )  # rows on the way through the same range: the next attempt reads them anew

    assert claimed.failures == 1
    assert await world.value("SELECT failures FROM partition_progress WHERE partition_id = 'natural-01'") == 1


async def test_a_partition_that_is_given_back_goes_on_at_its_cursor_without_a_failure(world: World) -> None:
    run = await world.plan()
    claimed = await must_claim(world, run)
    await advance(world, claimed, at=3)
    assert await leave(world, claimed, PartitionState.PENDING) is RunState.INGESTING

    again = await must_claim(world, run)

    assert again.cursor == {"ranges": [{"lab_grown": False, "price_from": 3}]}
    assert (again.attempt, again.failures) == (2, 0)


async def test_nobody_can_claim_what_waits_for_its_next_attempt(world: World) -> None:
    run = await world.plan()
    claimed = await must_claim(world, run)
    async with world.pool.connection() as conn:
        await leases.leave_partition(
            conn,
            claimed,
            state=PartitionState.PENDING,
            error="502",
            counts_as_failure=True,
            delay_seconds=30,
        )
    assert await claim(world, run) is None

    await world.rows(
        "UPDATE partition_progress SET next_attempt_at = now() WHERE partition_id = 'natural-01'"
    )

    again = await must_claim(world, run)
    assert again.failures == 1
    assert (await world.partitions(run.run_id))["natural-01"].last_error == "502"


async def test_the_catch_up_waits_until_every_range_is_read(world: World) -> None:
    run = await world.plan()
    assert await claim(world, run, "catch-up-natural") is None
    for partition_id in ("natural-01", "lab-grown-01"):
        assert await claim(world, run, "catch-up-natural") is None
        await leave(world, await must_claim(world, run, partition_id), PartitionState.COMPLETED)

    claimed = await must_claim(world, run, "catch-up-natural")

    assert claimed.is_catch_up


async def test_an_ended_partition_is_never_claimed_again(world: World) -> None:
    run = await world.plan()
    await leave(world, await must_claim(world, run), PartitionState.COMPLETED)
    assert await claim(world, run) is None


async def test_of_runs_and_partitions_that_do_not_exist_nothing_can_be_claimed(world: World) -> None:
    run = await world.plan()
    assert await claim(world, run, "natural-99") is None
    assert await claim(world, replace(run, run_id=UUID(int=7))) is None


async def test_cancelling_takes_the_partition_from_its_worker(world: World) -> None:
    run = await world.plan()
    claimed = await must_claim(world, run)
    async with world.pool.connection() as conn:
        await store.cancel_run(conn, run.run_id, actor="test")

    with pytest.raises(LeaseLost):
        await advance(world, claimed)
    with pytest.raises(LeaseLost):
        await renew(world, claimed)
    assert await claim(world, run, "lab-grown-01") is None
    assert {p.state for p in (await world.partitions(run.run_id)).values()} == {PartitionState.PENDING}
    attempt = await world.row(
        "SELECT status, error_message, completed_at IS NOT NULL AS ended FROM worker_runs"
    )
    assert attempt == {"status": "failed", "error_message": "cancelled by test", "ended": True}


async def test_cancelling_while_workers_end_their_partitions_never_deadlocks(world: World) -> None:
    for _ in range(10):
        run = await world.plan()
        claims = [await must_claim(world, run, name) for name in ("natural-01", "lab-grown-01")]

        async def cancel(run: Run = run) -> None:
            async with world.pool.connection() as conn:
                await store.cancel_run(conn, run.run_id, actor="test")

        await asyncio.gather(
            cancel(),
            *(leave(world, claimed, PartitionState.COMPLETED) for claimed in claims),
            return_exceptions=True,
        )
        assert (await world.get_run(run.run_id)).state is RunState.CANCELLED
