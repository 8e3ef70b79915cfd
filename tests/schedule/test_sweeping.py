"""The sweeper sends again what was lost, once at a time, and nothing that nobody needs."""

import asyncio
import random
from datetime import timedelta
from uuid import uuid4

import pytest

from diamond_opus.domain.errors import Retryable
from diamond_opus.queue.protocol import CONSOLIDATE, QUEUES, WORK_DONE, WORK_ITEMS, Message, Received
from diamond_opus.runs import leases, store
from diamond_opus.runs.model import PartitionState, Run, RunState
from diamond_opus.schedule.sweep import Sweeper
from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(30), *stones(5, lab_grown=True)]))


async def ids(world: World, queue_name: str = WORK_ITEMS) -> list[str]:
    """What is under way in a queue, which is empty then."""
    found: list[str] = []

    async def note(message: Received) -> None:
        found.append(message.id)

    await world.deliver(queue_name, note)
    return found


async def end_all(world: World, run: Run) -> None:
    """Read everything without any message."""
    for partition_id in ("natural-01", "lab-grown-01", "catch-up-natural", "catch-up-lab-grown"):
        async with world.pool.connection() as conn:
            claimed = await leases.claim_partition(
                conn, run.run_id, partition_id, worker_id=uuid4(), lease_seconds=60, payload={}
            )
            assert claimed is not None
            await leases.leave_partition(conn, claimed, state=PartitionState.COMPLETED)


async def test_a_lost_wake_up_is_sent_again_under_a_new_number(world: World) -> None:
    run = await world.plan()
    assert len(await ids(world)) == 2

    assert await world.sweep() == 2

    assert sorted(await ids(world)) == [f"{run.run_id}:lab-grown-01:2", f"{run.run_id}:natural-01:2"]


async def test_what_was_claimed_while_its_run_was_being_closed_is_let_go(world: World) -> None:
    """The claim saw the run open, and the closing saw the partition free: each before the other's commit."""
    run = await world.plan()
    async with world.pool.connection() as conn:
        await store.cancel_run(conn, run.run_id, actor="test")
    await world.rows(
        "UPDATE partition_progress SET state = 'running', lease_token = gen_random_uuid(),"
        " lease_expires_at = now() + interval '1 hour' WHERE partition_id = 'natural-01'"
    )

    await world.sweep()

    states = await world.rows("SELECT DISTINCT state FROM partition_progress")
    assert [row["state"] for row in states] == ["pending"]


async def test_nothing_is_sent_again_before_its_quiet_time_is_over(world: World) -> None:
    await world.plan()
    assert await world.sweep(seconds=60) == 0
    await world.rows("UPDATE partition_progress SET woken_at = woken_at - interval '61 seconds'")
    assert await world.sweep(seconds=60) == 2
    assert await world.sweep(seconds=60) == 0


async def test_a_partition_in_good_hands_is_left_alone_and_one_in_dead_hands_is_not(world: World) -> None:
    run = await world.plan()
    async with world.pool.connection() as conn:
        for partition_id in ("natural-01", "lab-grown-01"):
            await leases.claim_partition(
                conn, run.run_id, partition_id, worker_id=uuid4(), lease_seconds=60, payload={}
            )
    await ids(world)
    assert await world.sweep() == 0
    await world.expire_lease(run.run_id, "natural-01")
    assert await world.sweep() == 1
    assert await ids(world) == [f"{run.run_id}:natural-01:2"]


async def test_a_partition_that_waits_for_its_next_attempt_is_woken_when_its_time_has_come(
    world: World,
) -> None:
    run = await world.plan()
    await ids(world)
    await world.rows("UPDATE partition_progress SET next_attempt_at = now() + interval '1 hour'")
    assert await world.sweep() == 0
    await world.rows(
        "UPDATE partition_progress SET next_attempt_at = now() WHERE partition_id = 'natural-01'"
    )
    assert await world.sweep() == 1
    assert await ids(world) == [f"{run.run_id}:natural-01:2"]


async def test_a_run_that_is_read_is_sent_to_consolidation_until_it_is_over(world: World) -> None:
    run = await world.plan()
    await end_all(world, run)
    assert await world.sweep() == 1
    assert await ids(world, CONSOLIDATE) == [f"consolidate:{run.run_id}:1"]
    assert await world.sweep() == 1
    await world.consolidate()
    assert (await world.get_run(run.run_id)).state is RunState.COMPLETED
    assert await world.sweep() == 0


async def test_a_run_that_somebody_is_ending_is_left_alone_until_that_one_is_dead(world: World) -> None:
    run = await world.plan()
    await end_all(world, run)
    await world.rows(
        "UPDATE run_metadata SET state = 'consolidating', finalise_expires_at = now() + interval '1 minute'"
    )
    assert await world.sweep() == 0
    await world.rows("UPDATE run_metadata SET finalise_expires_at = now()")
    assert await world.sweep() == 1


async def test_runs_that_are_over_are_never_woken(world: World) -> None:
    run = await world.plan()
    await ids(world)
    async with world.pool.connection() as conn:
        await store.cancel_run(conn, run.run_id, actor="test")
    assert await world.sweep() == 0


@pytest.mark.parametrize("seed", range(3))
async def test_most_messages_may_be_lost_and_the_run_still_ends(world: World, seed: int) -> None:
    rng = random.Random(seed)
    consolidator = world.process.consolidator()
    handlers = {
        WORK_ITEMS: world.process.worker().handle,
        WORK_DONE: consolidator.handle_work_done,
        CONSOLIDATE: consolidator.handle_consolidate,
    }
    lost = 0

    async def handle_or_lose(message: Received) -> None:
        nonlocal lost
        if rng.random() < 0.8:
            lost += 1
        else:
            await handlers[queue_name](message)

    run = await world.plan()
    for _ in range(500):
        for queue_name in QUEUES:
            await world.deliver(queue_name, handle_or_lose)
        if (await world.get_run(run.run_id)).state.is_over:
            break
        await asyncio.sleep(0.002)
        await world.sweep()

    assert (await world.get_run(run.run_id)).state is RunState.COMPLETED
    assert lost >= 4
    assert len(await world.active_ids()) == 35


@pytest.mark.parametrize("seed", range(3))
async def test_messages_may_come_doubled_and_in_any_order(world: World, seed: int) -> None:
    rng = random.Random(seed)
    consolidator = world.process.consolidator()
    handlers = {
        WORK_ITEMS: world.process.worker().handle,
        WORK_DONE: consolidator.handle_work_done,
        CONSOLIDATE: consolidator.handle_consolidate,
    }
    under_way: list[tuple[str, Received]] = []
    handled = 0
    run = await world.plan()
    while True:
        for queue_name in QUEUES:

            async def keep(message: Received, queue_name: str = queue_name) -> None:
                under_way.extend([(queue_name, message)] * rng.choice([1, 2, 3]))

            await world.deliver(queue_name, keep)
        if not under_way:
            break
        handled += 1
        queue_name, message = under_way.pop(rng.randrange(len(under_way)))
        await handlers[queue_name](message)

    ended = await world.get_run(run.run_id)
    assert (ended.state, ended.distinct_records, ended.consolidation_processed) == (
        RunState.COMPLETED,
        35,
        35,
    )
    assert handled > 12
    assert await world.value("SELECT max(attempts) FROM partition_progress") == 1


async def test_messages_of_a_dead_run_do_nothing_beside_its_successor(world: World) -> None:
    dead = await world.plan()
    messages: dict[str, list[Message]] = {}
    for name in QUEUES:
        kept = messages.setdefault(name, [])

        async def keep(message: Received, kept: list[Message] = kept) -> None:
            kept.append(Message(message.body, message.id, message.properties))

        await world.deliver(name, keep)
    async with world.pool.connection() as conn:
        await store.cancel_run(conn, dead.run_id, actor="test")
    run = await world.plan()
    for name, kept in messages.items():
        await world.queues[name].send(kept * 2)

    ended = await world.finish(run.run_id)

    assert ended.state is RunState.COMPLETED
    assert (await world.get_run(dead.run_id)).state is RunState.CANCELLED
    assert {p.state for p in (await world.partitions(dead.run_id)).values()} == {PartitionState.PENDING}


class UnreachableQueue:
    """A transport that is down: for sending, all that a sweeper needs."""

    name = WORK_ITEMS

    async def send(self, messages: object, *, delay_seconds: float = 0) -> None:
        raise Retryable("work-items: the transport is out of reach")


async def test_a_transport_that_is_down_loses_nothing(world: World) -> None:
    queues = dict(world.queues)
    world.process = world.another_process()
    world.queues = {**queues, WORK_ITEMS: UnreachableQueue()}  # type: ignore[dict-item]  # it only fails
    world.process = world.another_process()
    run = await world.plan()
    assert await world.sweep() == 2
    world.queues = queues
    world.process = world.another_process()
    assert (await world.finish(run.run_id)).state is RunState.COMPLETED


def sweeper_of(world: World, seconds: float = 30) -> Sweeper:
    return world.another_process().sweeper(seconds=seconds)


async def test_of_all_processes_one_at_a_time_sweeps(world: World) -> None:
    await world.plan()
    await ids(world)
    await world.rows("UPDATE partition_progress SET woken_at = NULL")
    sweepers = [sweeper_of(world) for _ in range(5)]

    sent = await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers))

    assert sorted(sent) == [0, 0, 0, 0, 2]


async def test_the_duty_passes_on_when_its_holder_is_silent(world: World) -> None:
    await world.plan()
    first, second = sweeper_of(world), sweeper_of(world)
    await first.sweep()
    await world.rows("UPDATE partition_progress SET woken_at = NULL")
    assert await second.sweep() == 0
    lasts = await world.value("SELECT expires_at - clock_timestamp() FROM duties")
    assert timedelta(seconds=50) < lasts <= timedelta(seconds=60)

    await world.rows("UPDATE duties SET expires_at = now()")

    assert await second.sweep() == 2


async def test_a_sweep_sends_no_more_than_its_limit_and_those_first_that_waited_longest(
    pool: Pool,
) -> None:
    supplier = ScriptedSupplier([*stones(200), *stones(200, lab_grown=True)])
    world = World(pool, supplier, records_per_worker=40, heatmap_min_records_per_worker=20)
    await world.plan()
    await ids(world)
    await world.rows(
        "UPDATE partition_progress SET woken_at = now() - interval '1 minute' WHERE kind = 'range'"
    )
    await world.rows(
        "UPDATE partition_progress SET woken_at = now() - interval '1 hour' WHERE partition_id = 'natural-03'"
    )
    sweeper = world.process.sweeper(alone=True, seconds=1)
    assert await sweeper.sweep(limit=1) == 1
    [first] = await ids(world)
    assert first.endswith(":natural-03:2")
    assert await sweeper.sweep(limit=3) == 3


async def test_a_sweep_that_fails_does_not_end_the_sweeping(world: World) -> None:
    await world.plan()
    await ids(world)
    stop = asyncio.Event()
    await world.rows("ALTER TABLE duties RENAME TO duties_away")
    sweeping = asyncio.create_task(world.process.sweeper(seconds=0.02).run(stop))
    await asyncio.sleep(0.1)
    assert not sweeping.done()

    await world.rows("ALTER TABLE duties_away RENAME TO duties")

    async with asyncio.timeout(10):
        while not any(message.endswith(":2") for message in await ids(world)):  # noqa: ASYNC110 - the sweep sends it
            await asyncio.sleep(0.02)
    stop.set()
    await sweeping


async def test_a_disk_so_full_that_not_even_a_sweep_is_possible_is_told_once(world: World) -> None:
    stop = asyncio.Event()
    async with world.full_disk("duties"):
        sweeping = asyncio.create_task(world.process.sweeper(seconds=0.01).run(stop))
        while not world.alerts.events:  # noqa: ASYNC110 - the sweeper tells it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        stop.set()
        await sweeping

    assert world.alerts.events == ["database_full"]
    assert "Make room" in world.alerts.raised[0].action
