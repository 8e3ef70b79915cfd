"""Housekeeping beside a run, cut off in the middle, and by the clock: nothing is lost, the rest is done later."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from diamond_opus.db.pool import connect
from diamond_opus.domain.clock import ManualClock, SystemClock
from diamond_opus.domain.tasks import end
from diamond_opus.maintain import upkeep
from diamond_opus.maintain.caretaker import Caretaker
from diamond_opus.maintain.housekeeper import Housekeeper
from diamond_opus.maintain.retention import Cutoffs, Retention
from diamond_opus.maintain.tasks import TASKS, House
from diamond_opus.runs.model import RunState, RunType
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, ScriptedSupplier, stones

ALWAYS, NEVER = "* * * * *", "0 0 31 2 *"


@pytest.fixture
def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier(stones(60)))


def keeper(world: World, *, batch_rows: int = 1_000, stop: asyncio.Event | None = None) -> Housekeeper:
    house = House(world.pool, world.watermarks, world.queues, (FEED,), batch_rows)
    return Housekeeper(house, ManualClock(datetime.now(UTC)), Retention(), stop or asyncio.Event())


def at_once(now: datetime) -> Cutoffs:
    """Nothing is kept for any time."""
    return Cutoffs(now, now, now, now, now, now, now, now, now, now)


async def errors_of(world: World, count: int) -> None:
    await world.rows(
        "INSERT INTO error_logs (service, error_message, created_at)"
        " SELECT 's', 'm', now() - interval '99 days' FROM generate_series(1, %s)",
        count,
    )


async def test_a_kill_costs_one_batch_and_the_next_time_goes_on_from_there(world: World) -> None:
    await errors_of(world, 50)
    fourth = asyncio.Event()

    class Slow(SystemClock):
        """The fourth batch is the last one before the process dies."""

        batches = 0

        async def sleep(self, seconds: float) -> None:
            self.batches += 1
            if self.batches == 4:
                fourth.set()
                await asyncio.Event().wait()

    house = House(world.pool, world.watermarks, world.queues, (FEED,), batch_rows=10)
    killed = asyncio.create_task(Housekeeper(house, Slow(), Retention()).keep(["error_logs"]))
    await fourth.wait()
    await end(killed)

    assert await world.value("SELECT count(*) FROM error_logs") == 10
    assert await world.row("SELECT task, completed_at FROM upkeep") == {
        "task": "error_logs",
        "completed_at": None,
    }
    [done] = await keeper(world).keep(["error_logs"])
    assert (done.rows, done.error) == (10, None)


async def test_a_signal_takes_the_batch_under_way_back_and_its_row_says_so(world: World) -> None:
    await errors_of(world, 30)
    stop = asyncio.Event()
    stop.set()
    assert await keeper(world, stop=stop).keep() == []

    class Stopping(ManualClock):
        async def sleep(self, seconds: float) -> None:
            stop.set()

    stop.clear()
    house = House(world.pool, world.watermarks, world.queues, (FEED,), batch_rows=10)
    [done] = await Housekeeper(house, Stopping(datetime.now(UTC)), Retention(), stop).keep(["error_logs"])

    assert done.rows == 10
    assert await world.value("SELECT count(*) FROM error_logs") == 20
    assert "stopped" in str(await world.value("SELECT error FROM upkeep"))


async def test_a_signal_ends_a_vacuum_that_takes_long(world: World, database_url: str) -> None:
    await errors_of(world, 3000)
    await world.rows("DELETE FROM error_logs")
    await world.rows("SELECT pg_stat_force_next_flush()")
    stop = asyncio.Event()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'VACUUM%%' AND wait_event_type = 'Lock'"

    async with await connect(database_url, application_name="in the way") as other, other.transaction():
        await other.execute("LOCK TABLE error_logs IN SHARE UPDATE EXCLUSIVE MODE")
        keeping = asyncio.create_task(keeper(world, stop=stop).keep(["vacuum"]))
        while not await world.value(waiting):  # noqa: ASYNC110 - the server waits
            await asyncio.sleep(0.02)
        stop.set()
        async with asyncio.timeout(5):
            [done] = await keeping
        assert not await world.value(waiting)

    assert "stopped" in (done.error or "")


async def test_a_task_that_fails_leaves_the_others_to_be_done(world: World) -> None:
    await errors_of(world, 3)
    await world.rows("ALTER TABLE density_scans RENAME TO elsewhere")

    done = {one.task: one for one in await keeper(world).keep(["density_scans", "error_logs"])}

    assert "UndefinedTable" in (done["density_scans"].error or "")
    assert done["error_logs"].rows == 3
    assert "UndefinedTable" in str(await world.value("SELECT error FROM upkeep WHERE task = 'density_scans'"))


async def test_a_dry_run_writes_nothing_at_all(world: World) -> None:
    await errors_of(world, 3)
    next_transaction = "SELECT pg_snapshot_xmax(pg_current_snapshot())"
    before = await world.value(next_transaction)

    await keeper(world).keep(dry_run=True)

    assert await world.value("SELECT count(*) FROM error_logs") == 3
    assert await world.value("SELECT count(*) FROM upkeep") == 0
    assert await world.value(next_transaction) == before


async def keep_on(world: World, stop: asyncio.Event) -> int:
    """Housekeeping again and again with no patience at all, so that whatever can be in the way is."""
    turns = 0
    while not stop.is_set():
        done = await keeper(world, batch_rows=7).keep(
            cutoffs=at_once(datetime.now(UTC) + timedelta(seconds=1))
        )
        assert [one.error for one in done] == [None] * len(done)
        turns += 1
    return turns


@pytest.mark.parametrize("consolidators", [1, 3])
async def test_stones_that_come_and_go_during_runs_are_never_lost_to_housekeeping(
    world: World, consolidators: int
) -> None:
    """With retentions of nothing a stone is purged as soon as it is removed, in the very moment when it may return."""
    await world.run()
    stop = asyncio.Event()
    keeping = asyncio.create_task(keep_on(world, stop))
    away: list[Any] = []
    for turn in range(6):
        for listed in away:
            world.supplier.list(listed)
        leaving = [f"nat-{number:05d}" for number in range(turn, 60, 8)]
        away = [world.supplier.stones[stone_id] for stone_id in leaving]
        world.supplier.withdraw(*leaving)
        run = await world.read_run(RunType.FULL)
        await asyncio.gather(
            *(world.another_process().consolidator().consolidate(run.run_id) for _ in range(consolidators))
        )
        assert (await world.finish(run.run_id)).state is RunState.COMPLETED
        on_sale = await world.rows("SELECT supplier_stone_id FROM diamonds WHERE status = 'active'")
        assert {row["supplier_stone_id"] for row in on_sale} == set(world.supplier.stones)
    stop.set()
    assert await keeping > 1

    orphans = await world.rows(
        "SELECT w.supplier_stone_id FROM raw_diamonds AS w LEFT JOIN diamonds AS d USING (feed, supplier_stone_id)"
        " WHERE d.id IS NULL AND w.removed_at IS NULL"
    )
    assert orphans == []


async def test_two_at_once_share_the_work(world: World) -> None:
    await errors_of(world, 500)
    done = await asyncio.gather(*(keeper(world, batch_rows=20).keep(["error_logs"]) for _ in range(2)))
    assert sum(one.rows or 0 for some in done for one in some) <= 500
    await keeper(world).keep(["error_logs"])
    assert await world.value("SELECT count(*) FROM error_logs") == 0


def caretaker(world: World, cron: str = ALWAYS) -> Caretaker:
    return Caretaker(keeper(world), cron=cron, holder=uuid4())


async def test_of_several_processes_one_does_what_is_due_and_does_it_once(world: World) -> None:
    done = await asyncio.gather(*(caretaker(world, "0 0 1 1 *").look() for _ in range(3)))
    assert sorted(len(some) for some in done) == [0, 0, len(TASKS)]

    await world.rows("DELETE FROM duties")
    assert await caretaker(world, "0 0 1 1 *").look() == []


async def test_a_cron_that_names_no_day_switches_it_off_once_it_was_done(world: World) -> None:
    assert await caretaker(world, NEVER).look() == []


async def test_only_what_was_not_done_is_done_again_and_what_failed_an_hour_later(world: World) -> None:
    yearly = "0 0 1 1 *"
    await caretaker(world, yearly).look()
    await world.rows("UPDATE upkeep SET completed_at = NULL WHERE task = 'runs'")  # cut off
    await world.rows("UPDATE upkeep SET error = 'no' WHERE task IN ('vacuum', 'error_logs')")
    await world.rows("UPDATE upkeep SET started_at = now() - interval '61 minutes' WHERE task = 'vacuum'")
    await world.rows("DELETE FROM duties")

    assert [one.task for one in await caretaker(world, yearly).look()] == ["runs", "vacuum"]


async def test_a_caretaker_stops_at_once_and_leaves_no_duty_undone(world: World) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(caretaker(world).run(stop))
    for _ in range(500):
        if await world.value("SELECT count(*) FROM upkeep WHERE completed_at IS NOT NULL") == len(TASKS):
            break
        await asyncio.sleep(0.01)
    stop.set()
    async with asyncio.timeout(5):
        await running
    async with world.pool.connection() as conn:
        found = {
            one.task: one.succeeded_at for one in await upkeep.newest(conn, [task.name for task in TASKS])
        }
    assert None not in found.values()
