"""A worker reads its partition whatever happens on the way, says how that ended, and never holds on to it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import psycopg
import pytest

from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.nivoda import NotSent
from diamond_opus.queue.protocol import WORK_ITEMS
from diamond_opus.runs.model import PartitionState, Run, RunState
from pipeline_builders import Pool, World, consolidate_message, work_item
from pipeline_supplier import Listed, ScriptedSupplier, stones

NATURAL = "natural-01"


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(120), *stones(10, lab_grown=True)]))


def raising(error: Exception, *, times: int | None = None, prices: bool = True) -> Any:
    """A hook that fails (the first ``times``) questions about natural stones."""
    left = [times]

    async def hook(selection: Selection, offset: int) -> None:
        if selection.lab_grown or left[0] == 0:
            return
        if left[0] is not None:
            left[0] -= 1
        raise error

    return hook


async def handle(world: World, run: Run, partition_id: str = NATURAL) -> None:
    await world.another_process().worker().handle(work_item(run, partition_id))


async def state_of(world: World, run: Run, partition_id: str = NATURAL) -> dict[str, Any]:
    return await world.row(
        "SELECT *, next_attempt_at - clock_timestamp() AS waits FROM partition_progress"
        " WHERE run_id = %s AND partition_id = %s",
        run.run_id,
        partition_id,
    )


async def test_a_partition_is_read_whole_and_every_figure_is_explained(world: World) -> None:
    run = await world.plan()

    await handle(world, run)

    partition = (await world.partitions(run.run_id))[NATURAL]
    assert partition.state is PartitionState.COMPLETED
    assert (partition.expected_records, partition.fetched_records, partition.distinct_records) == (
        120,
        120,
        120,
    )
    assert (partition.attempts, partition.count_disputed, partition.notes, partition.last_error) == (
        1,
        False,
        [],
        None,
    )
    assert await world.value("SELECT count(*) FROM raw_diamonds WHERE NOT asked_lab_grown") == 120
    attempt = await world.row("SELECT status, records_processed, error_message FROM worker_runs")
    assert attempt == {"status": "completed", "records_processed": 120, "error_message": None}


async def test_the_same_message_again_and_again_reads_nothing_twice(world: World) -> None:
    run = await world.plan()
    await asyncio.gather(*(handle(world, run) for _ in range(5)))
    pages = len(world.supplier.pages)

    await handle(world, run)

    assert len(world.supplier.pages) == pages
    assert await world.value("SELECT count(*) FROM worker_runs") == 1
    assert (await state_of(world, run))["attempts"] == 1


async def test_a_message_for_a_feed_this_worker_does_not_know_is_set_aside(world: World) -> None:
    run = await world.plan()
    message = work_item(run, NATURAL)
    strange = type(message)(
        **{
            **{name: getattr(message, name) for name in message.__slots__},
            "body": {**message.body, "feed": "elsewhere"},
        }
    )
    with pytest.raises(Fatal, match="knows no feed 'elsewhere' \\(it has nivoda\\)"):
        await world.process.worker().handle(strange)


async def test_a_failure_waits_twice_as_long_each_time_and_the_fifth_is_the_last(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(20)), retry_first_backoff_seconds=8)
    run = await world.plan()
    world.supplier.before_page = raising(Retryable("nivoda: page answered 502"))
    waits = []
    for _ in range(4):
        await handle(world, run)
        partition = await state_of(world, run)
        assert (partition["state"], partition["last_error"]) == ("pending", "nivoda: page answered 502")
        waits.append(round(partition["waits"].total_seconds()))
        await handle(world, run)  # a message that comes too early
        assert (await state_of(world, run))["attempts"] == len(waits)
        await world.rows("UPDATE partition_progress SET next_attempt_at = now() - interval '1 second'")

    await handle(world, run)

    assert waits == [8, 16, 32, 64]
    partition = await state_of(world, run)
    assert (partition["state"], partition["attempts"]) == ("failed", 5)
    errors = await world.rows("SELECT status, error_message FROM worker_runs")
    assert errors == [{"status": "failed", "error_message": "nivoda: page answered 502"}] * 5


async def test_an_outage_of_the_supplier_counts_against_no_partition_and_is_told_once(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(20)), retry_first_backoff_seconds=0.001)
    run = await world.plan()
    world.supplier.is_out = True
    world.supplier.before_count = raising(Retryable("nivoda: count answered 503"))
    worker = world.process.worker()
    for _ in range(12):
        await worker.handle(work_item(run, NATURAL))
        await asyncio.sleep(0.002)

    partition = await state_of(world, run)
    assert (partition["state"], partition["attempts"], partition["failures"]) == ("pending", 12, 0)
    assert partition["last_error"] == "nivoda: count answered 503"
    assert world.alerts.events == ["supplier_unavailable"]

    world.supplier.is_out, world.supplier.before_count = False, None
    await worker.handle(work_item(run, NATURAL))
    assert (await state_of(world, run))["state"] == "completed"


def _no_slot() -> Retryable:
    """What a request meets whose budget, a row of the database, is out of reach."""
    refused = NotSent("nivoda: page was not sent: request budget: no slot could be booked")
    refused.__cause__ = Retryable("request budget: no slot could be booked")
    refused.__cause__.__cause__ = psycopg.OperationalError("server closed the connection unexpectedly")
    return refused


@pytest.mark.parametrize(
    "make_error",
    [lambda: DatabaseUnavailable("no connection could be had"), _no_slot],
    ids=["pool", "budget"],
)
async def test_an_outage_of_the_database_is_neither_the_partition_s_fault_nor_the_supplier_s(
    pool: Pool, make_error: Callable[[], Retryable]
) -> None:
    world = World(pool, ScriptedSupplier(stones(20)), retry_first_backoff_seconds=0.001)
    run = await world.plan()
    world.supplier.is_out = True  # as it seems to be, when nothing can be asked of it
    world.supplier.before_page = raising(make_error())
    for _ in range(8):
        await handle(world, run)
        await asyncio.sleep(0.002)

    partition = await state_of(world, run)
    assert (partition["state"], partition["attempts"], partition["failures"]) == ("pending", 8, 0)
    assert world.alerts.events == []


async def test_an_outage_is_looked_at_again_within_20_seconds(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(20)), retry_first_backoff_seconds=120)
    run = await world.plan()
    world.supplier.is_out = True
    world.supplier.before_page = raising(Retryable("nivoda: page answered 503"))
    await handle(world, run)
    assert round((await state_of(world, run))["waits"].total_seconds()) == 20


async def test_a_database_that_serves_nobody_counts_against_no_partition(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(20)), retry_first_backoff_seconds=0.001)
    run = await world.plan()
    async with world.full_disk("raw_diamonds"):
        for _ in range(7):
            await handle(world, run)
            await asyncio.sleep(0.002)

    partition = await state_of(world, run)
    assert (partition["state"], partition["attempts"], partition["failures"]) == ("pending", 7, 0)

    await handle(world, run)
    assert (await state_of(world, run))["state"] == "completed"


async def test_a_full_disk_is_told_once_by_a_worker_and_again_when_there_was_room_between(pool: Pool) -> None:
    listed = [*stones(20), *stones(20, lab_grown=True)]
    world = World(pool, ScriptedSupplier(listed), retry_first_backoff_seconds=0.001)
    run = await world.plan()
    worker = world.process.worker()

    async def read_on_a_full_disk(partition_id: str) -> None:
        async with world.full_disk("raw_diamonds"):
            for _ in range(3):
                await worker.handle(work_item(run, partition_id))
                await asyncio.sleep(0.002)

    await read_on_a_full_disk(NATURAL)
    assert world.alerts.events == ["database_full"], "and not with each try"
    assert f"diamond status {run.run_id}" in world.alerts.raised[0].action

    await worker.handle(work_item(run, NATURAL))
    await read_on_a_full_disk("lab-grown-01")
    assert world.alerts.events == ["database_full", "database_full"]


async def test_the_longest_wait_is_a_setting(pool: Pool) -> None:
    world = World(
        pool,
        ScriptedSupplier(stones(20)),
        retry_first_backoff_seconds=100,
        retry_longest_backoff_seconds=150,
    )
    run = await world.plan()
    world.supplier.before_page = raising(Retryable("502"))
    await handle(world, run)
    await world.rows("UPDATE partition_progress SET next_attempt_at = now()")
    await handle(world, run)
    assert round((await state_of(world, run))["waits"].total_seconds()) == 150


async def test_the_suppliers_wish_to_be_left_alone_is_granted(world: World) -> None:
    run = await world.plan()
    world.supplier.before_page = raising(Retryable("429", retry_after_seconds=90), times=1)

    await handle(world, run)

    waits = (await state_of(world, run))["waits"]
    assert timedelta(seconds=85) < waits <= timedelta(seconds=90)
    assert not [
        m for m in await world.queues[WORK_ITEMS].receive(10, wait_seconds=0) if m.id.endswith("1000001")
    ]


async def test_after_the_wait_its_own_message_wakes_the_partition_again(world: World) -> None:
    world.supplier.before_page = raising(Retryable("502"), times=1)

    run = await world.run()

    assert run.state is RunState.COMPLETED
    assert (await state_of(world, run))["attempts"] == 2
    assert await world.value("SELECT count(*) FROM diamonds") == 130


async def test_progress_gives_a_partition_its_full_count_of_attempts_again(pool: Pool) -> None:
    """Every range fails four times before it is read: never five times in a row, so the partition ends well."""
    world = World(pool, ScriptedSupplier(stones(250)), worker_max_offset=200)
    failed: dict[Selection, int] = {}

    async def fail_four_times(selection: Selection, offset: int) -> None:
        failed[selection] = failed.get(selection, 0) + 1
        if failed[selection] <= 4:
            raise Retryable("502")

    world.supplier.before_page = fail_four_times

    run = await world.run()

    ranges = {s for s in failed if not s.lab_grown and s.updated_from is None}
    assert len(ranges) > 2
    assert run.state is RunState.COMPLETED
    assert (await state_of(world, run))["attempts"] == 4 * len(ranges) + 1
    assert await world.value("SELECT count(*) FROM diamonds") == 250


async def test_a_range_that_never_ends_is_no_progress_however_much_of_it_is_stored(pool: Pool) -> None:
    """Stones that nothing can split are read deep, in many transactions; the cursor stands still meanwhile."""
    alike = [*stones(1500, step_cents=0)]
    world = World(pool, ScriptedSupplier(alike))
    run = await world.plan()

    async def fail_at_the_end(selection: Selection, offset: int) -> None:
        if offset > 1300:
            raise Retryable("502")

    world.supplier.before_page = fail_at_the_end
    for _ in range(5):
        await world.rows("UPDATE partition_progress SET next_attempt_at = NULL")
        await handle(world, run)

    assert await world.value("SELECT count(*) FROM raw_diamonds") >= 1000
    assert (await state_of(world, run))["state"] == "failed"


async def test_what_no_attempt_can_mend_fails_at_once_and_alerts(world: World) -> None:
    world.supplier.before_page = raising(Fatal("nivoda refuses the filter; check NIVODA_FILTER"))

    run = await world.run()

    assert run.state is RunState.FAILED
    assert run.error == f"1 partitions failed: {NATURAL}: nivoda refuses the filter; check NIVODA_FILTER"
    assert (await state_of(world, run))["attempts"] == 1
    assert world.alerts.events == ["consolidation_skipped"]
    assert f"diamond retry {run.run_id}" in world.alerts.raised[0].text
    assert await world.watermark() is None
    assert await world.value("SELECT count(*) FROM diamonds") == 0


async def test_an_error_nobody_thought_of_is_a_failure_like_any_other(world: World) -> None:
    """It must not leave the partition under a lease that a forgotten task keeps renewing."""
    run = await world.plan()
    world.supplier.before_page = raising(ZeroDivisionError("a fault of ours"), times=1)

    await handle(world, run)

    partition = await state_of(world, run)
    assert (partition["state"], partition["lease_token"]) == ("pending", None)
    assert partition["last_error"] == "ZeroDivisionError: a fault of ours"
    assert not [task for task in asyncio.all_tasks() if "_renew" in repr(task.get_coro())]
    assert (await world.finish(run.run_id)).state is RunState.COMPLETED


async def test_prices_in_another_unit_fail_the_partition_before_anything_of_it_is_stored(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(350)), worker_max_offset=200)
    world.supplier.price_factor = 100

    run = await world.run()

    assert run.state is RunState.FAILED
    partition = await state_of(world, run)
    assert partition["attempts"] == 1
    assert partition["last_error"].startswith(
        "nivoda: 41 of 41 prices of natural USD 0 to 500 are ten times or more off the range asked"
        " (one is 1000000 cents); the supplier's unit may have changed"
    )
    assert await world.value("SELECT count(*) FROM raw_diamonds") == 0
    assert await world.watermark() is None


@pytest.mark.parametrize("table", ["partition_progress", "run_metadata"])
async def test_a_disk_so_full_that_nothing_can_even_be_claimed_is_told(pool: Pool, table: str) -> None:
    world = World(pool, ScriptedSupplier(stones(20)))
    run = await (world.plan() if table == "partition_progress" else world.read_run())
    handle, message = world.process.worker().handle, work_item(run, NATURAL)
    if table == "run_metadata":
        handle, message = world.process.consolidator().handle_consolidate, consolidate_message(run)
    async with world.full_disk(table, "UPDATE"):
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable, match="no space left"):
                await handle(message)

    assert world.alerts.events == ["database_full"]
    assert f"diamond status {run.run_id}" in world.alerts.raised[0].action


class LosesOneAnswer:
    """The pool, but for the connection lost once in the very commit: it happened, and nobody was told."""

    def __init__(self, pool: Pool, after: str) -> None:
        self._pool = pool
        self._after = after
        self.is_lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        async with self._pool.connection() as conn:
            before = await self._count(conn)
            yield conn
            if not self.is_lost and await self._count(conn) > before:
                self.is_lost = True
                raise psycopg.OperationalError("consuming input failed: server closed the connection")

    async def _count(self, conn: Any) -> int:
        [count] = await (await conn.execute(self._after)).fetchone()
        return int(count)


@pytest.mark.parametrize("is_known", [False, True], ids=["new stones", "stones that are known"])
async def test_a_commit_whose_answer_was_lost_is_not_done_again(world: World, is_known: bool) -> None:
    if is_known:
        await world.finish((await world.read_run()).run_id)
    run = await world.plan()
    process = world.another_process()
    pool = LosesOneAnswer(world.pool, "SELECT sum(pages_read) FROM partition_progress")
    await replace(process, pool=cast("Pool", pool)).worker().handle(work_item(run, NATURAL))

    assert pool.is_lost
    partition = (await world.partitions(run.run_id))[NATURAL]
    assert partition.state is PartitionState.COMPLETED
    assert (partition.fetched_records, partition.distinct_records) == (120, 120)
    assert partition.unchanged_records == (120 if is_known else 0)


async def test_what_the_database_refuses_is_listed_though_it_comes_page_after_page(pool: Pool) -> None:
    """So much in each page that every page is a transaction of its own."""
    deep = b"[" * 50_000 + b"]" * 50_000
    bad = [Listed(f"bad-{n}", payload=deep + b" " * (9_000_000 + n)) for n in range(3)]
    good = stones(36)
    world = World(pool, ScriptedSupplier([bad[0], *good[:12], bad[1], *good[12:24], bad[2], *good[24:]]))
    world.supplier.page_limit = 12

    run = await world.run()

    assert run.unreadable_records == 3
    assert await world.value("SELECT count(*) FROM rejected_diamonds WHERE NOT readable") == 3
