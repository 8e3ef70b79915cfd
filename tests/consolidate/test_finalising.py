"""A run ends once, its watermark moves to its planning time and never past anything unread, and a crash is harmless."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from diamond_opus.consolidate.consolidator import Consolidator
from diamond_opus.domain.errors import Fatal
from diamond_opus.domain.selection import Selection
from diamond_opus.queue.messages import WorkDone
from diamond_opus.queue.protocol import CONSOLIDATE
from diamond_opus.runs import consolidating, store
from diamond_opus.runs.model import LeaseLost, Run, RunState, RunType
from diamond_opus.watermark.postgres import PostgresWatermarkStore
from diamond_opus.watermark.protocol import Watermark, WatermarkUnavailable, advance
from pipeline_builders import Pool, World, consolidate_message, received
from pipeline_supplier import FEED, ScriptedSupplier, stones


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(40), *stones(10, lab_grown=True)]))


async def failed_run(world: World) -> Run:
    """A run whose natural stones could not be read."""

    async def refuse(selection: Selection, offset: int) -> None:
        if not selection.lab_grown:
            raise Fatal("nivoda refuses natural stones")

    world.supplier.before_page = refuse
    run = await world.run()
    world.supplier.before_page = None
    assert run.state is RunState.FAILED
    return run


async def force(world: World, run: Run, *, forced: bool = True) -> Run:
    async with world.pool.connection() as conn:
        await consolidating.start_consolidating(conn, run.run_id, force=forced, actor="test")
    await world.process.consolidator().consolidate(run.run_id)
    return await world.get_run(run.run_id)


async def test_the_watermark_is_the_planning_time_and_not_a_time_of_completion(world: World) -> None:
    run = await world.run()
    assert await world.watermark() == run.updated_to == run.watermark_after
    assert run.completed_at is not None
    assert run.updated_to < run.started_at < run.completed_at
    stored = await world.watermarks.read(FEED)
    assert stored is not None
    assert stored.last_run_id == str(run.run_id)


async def test_the_watermark_never_moves_back(world: World) -> None:
    run = await world.read_run()
    later = datetime.now(UTC) + timedelta(days=1)
    await advance(world.watermarks, FEED, Watermark(later, None, None))

    ended = await world.finish(run.run_id)

    assert ended.state is RunState.COMPLETED
    assert await world.watermark() == later


async def test_a_watermark_set_back_while_an_incremental_run_was_planned_stays(world: World) -> None:
    first = await world.run()
    run = await world.read_run(RunType.INCREMENTAL)
    set_back = Watermark(first.updated_to - timedelta(days=3), None, None)
    present = await world.watermarks.read(FEED)
    assert present is not None
    await world.watermarks.write(FEED, set_back, expected_version=present.version)

    ended = await world.finish(run.run_id)

    assert ended.state is RunState.COMPLETED
    assert await world.watermark() == ended.watermark_after == set_back.last_updated_at
    following = await world.plan(RunType.INCREMENTAL)
    assert following.updated_from == set_back.last_updated_at - timedelta(minutes=15)


async def test_a_run_planned_before_the_clock_was_set_back_leaves_the_watermark(world: World) -> None:
    first = await world.run()
    run = await world.read_run(RunType.INCREMENTAL)
    await world.rows(
        "UPDATE run_metadata SET updated_to = updated_to + interval '2 hours' WHERE run_id = %s", run.run_id
    )

    ended = await world.finish(run.run_id)

    assert (ended.state, ended.watermark_after) == (RunState.COMPLETED, None)
    assert await world.watermark() == first.updated_to
    assert world.alerts.events == ["watermark_ahead"]


async def test_a_run_with_an_unread_range_moves_nothing(world: World) -> None:
    first = await world.run()
    await failed_run(world)
    assert await world.watermark() == first.updated_to
    assert world.alerts.events == ["consolidation_skipped"]


async def test_force_consolidates_what_is_there_and_the_watermark_stays(world: World) -> None:
    failed = await failed_run(world)
    assert await world.value("SELECT count(*) FROM diamonds") == 0

    run = await force(world, failed)

    assert (run.state, run.forced, run.watermark_after) == (RunState.COMPLETED, True, None)
    assert run.error == failed.error, "why it is only a part stays on record"
    assert await world.active_ids() == {f"lab-{n:05d}" for n in range(10)}
    assert await world.watermark() is None

    again = await world.run(None)

    assert (again.run_type, again.distinct_records) == (RunType.FULL, 50)
    assert len(await world.active_ids()) == 50


async def test_a_forced_run_removes_nothing(world: World) -> None:
    await world.run()
    run = await force(world, await failed_run(world))
    assert run.removed_records == 0
    assert len(await world.active_ids()) == 50
    assert await world.value("SELECT count(*) FROM removal_candidates") == 0


async def test_an_invalid_rule_stops_pricing_with_a_clear_error_and_prices_nothing(world: World) -> None:
    """Then the rule is mended, and the same run goes on to its end."""
    rule_id = await world.value(
        "INSERT INTO pricing_rules (priority, carat_min, carat_max, markup_ratio) VALUES (1, 2, 1, 1.5) RETURNING id"
    )

    run = await world.run()

    assert run.state is RunState.FAILED
    assert run.error is not None
    assert run.error.startswith(f"consolidation: pricing rule {rule_id}: carat_min is 2")
    assert await world.value("SELECT count(*) FROM diamonds") == 0
    assert await world.value("SELECT count(*) FROM raw_diamonds WHERE consolidated") == 0
    assert await world.watermark() is None
    assert world.alerts.events == ["consolidation_failed"]
    assert f"diamond consolidate {run.run_id}" in world.alerts.raised[0].text

    await world.rows("UPDATE pricing_rules SET carat_max = 3 WHERE id = %s", rule_id)
    again = await force(world, run, forced=False)

    assert (again.state, again.forced, again.error) == (RunState.COMPLETED, False, None)
    assert await world.watermark() == run.updated_to
    assert len(await world.active_ids()) == 50


async def test_a_run_is_ended_once_however_many_consolidators_come_to_its_end(world: World) -> None:
    run = await world.read_run()
    writes: list[datetime] = []

    class Counting(PostgresWatermarkStore):
        async def write(self, feed: str, watermark: Watermark, *, expected_version: str | None) -> Watermark:
            writes.append(watermark.last_updated_at)
            return await super().write(feed, watermark, expected_version=expected_version)

    world.watermarks = Counting(world.pool)

    await asyncio.gather(*(world.another_process().consolidator().consolidate(run.run_id) for _ in range(4)))

    assert (await world.get_run(run.run_id)).state is RunState.COMPLETED
    assert writes == [run.updated_to]


async def test_nobody_may_end_a_run_while_a_stone_is_pending(world: World) -> None:
    run = await world.read_run()
    async with world.pool.connection() as conn:
        await consolidating.join_consolidation(conn, run.run_id)
        assert await consolidating.take_finalisation(conn, run.run_id, lease_seconds=60) is None
        await conn.execute(b"UPDATE raw_diamonds SET consolidated = TRUE")
        token = await consolidating.take_finalisation(conn, run.run_id, lease_seconds=60)
        assert token is not None
        assert await consolidating.take_finalisation(conn, run.run_id, lease_seconds=60) is None


async def test_a_stone_that_is_locked_and_not_yet_done_is_pending_as_well(world: World) -> None:
    """An empty locked read would say that nothing is left, while another consolidator is still at work."""
    run = await world.read_run()
    async with world.pool.connection() as other, other.transaction():
        await other.execute(
            b"UPDATE raw_diamonds SET consolidated = TRUE WHERE supplier_stone_id = 'nat-00003'"
        )
        await world.process.consolidator().consolidate(run.run_id)
        assert (await world.get_run(run.run_id)).state is RunState.CONSOLIDATING
    assert await world.watermark() is None


async def test_the_end_of_a_run_passes_on_when_its_holder_is_silent(world: World) -> None:
    run = await world.read_run()
    async with world.pool.connection() as conn:
        await consolidating.join_consolidation(conn, run.run_id)
        await conn.execute(b"UPDATE raw_diamonds SET consolidated = TRUE")
        dead = await consolidating.take_finalisation(conn, run.run_id, lease_seconds=60)
        assert dead is not None
        await conn.execute(b"UPDATE run_metadata SET finalise_expires_at = now()")
        assert (await world.finish(run.run_id)).state is RunState.COMPLETED
        with pytest.raises(LeaseLost):
            await consolidating.complete_run(conn, run.run_id, dead, watermark_after=None)
        with pytest.raises(LeaseLost):
            await consolidating.renew_finalisation(conn, run.run_id, dead, lease_seconds=60)
    assert (await world.get_run(run.run_id)).watermark_after == run.updated_to


async def test_a_crash_between_the_watermark_and_the_runs_row_is_harmless(world: World) -> None:
    run = await world.read_run()
    async with world.pool.connection() as conn:
        await consolidating.join_consolidation(conn, run.run_id)
        await conn.execute(b"UPDATE raw_diamonds SET consolidated = TRUE")
        await consolidating.take_finalisation(conn, run.run_id, lease_seconds=60)
    await advance(world.watermarks, FEED, Watermark(run.updated_to, str(run.run_id), datetime.now(UTC)))
    written = await world.watermarks.read(FEED)
    # Here the process is killed: the run is still consolidating, under a lease that nobody renews.
    await world.rows("UPDATE run_metadata SET finalise_expires_at = now()")

    ended = await world.finish(run.run_id)

    assert (ended.state, ended.watermark_after) == (RunState.COMPLETED, run.updated_to)
    assert await world.watermarks.read(FEED) == written


async def test_a_cancelled_run_does_not_complete_after_all(world: World) -> None:
    run = await world.read_run()
    async with world.pool.connection() as conn:
        await consolidating.join_consolidation(conn, run.run_id)
        await conn.execute(b"UPDATE raw_diamonds SET consolidated = TRUE")
        token = await consolidating.take_finalisation(conn, run.run_id, lease_seconds=60)
        assert token is not None
        await store.cancel_run(conn, run.run_id, actor="test")
        with pytest.raises(LeaseLost):
            await consolidating.renew_finalisation(conn, run.run_id, token, lease_seconds=60)
        with pytest.raises(LeaseLost):
            await consolidating.complete_run(conn, run.run_id, token, watermark_after=run.updated_to)
    assert (await world.get_run(run.run_id)).state is RunState.CANCELLED


class BrokenStore:
    """A watermark store that is out of reach."""

    async def read(self, feed: str) -> Watermark | None:
        raise OSError("the store is out of reach")

    async def write(self, feed: str, watermark: Watermark, *, expected_version: str | None) -> Watermark:
        raise OSError("the store is out of reach")


def with_store(world: World, watermarks: Any) -> Consolidator:
    world.watermarks = watermarks
    return world.another_process().consolidator()


async def test_a_store_out_of_reach_postpones_the_end_twice_as_long_each_time(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(20)), retry_first_backoff_seconds=8)
    run = await world.read_run()
    working = world.watermarks
    consolidator = with_store(world, BrokenStore())
    waits = []
    for _ in range(4):
        await consolidator.consolidate(run.run_id)
        waits.append(
            round(await world.value("SELECT extract(epoch FROM next_attempt_at - now()) FROM run_metadata"))
        )
        assert await world.sweep() == 0, "it is not due"
        await consolidator.consolidate(run.run_id)  # a message that comes too early
        await world.rows("UPDATE run_metadata SET next_attempt_at = now(), woken_at = NULL")

    assert waits == [8, 16, 32, 64]
    assert (await world.get_run(run.run_id)).state is RunState.CONSOLIDATING
    assert len(await world.active_ids()) == 20

    with_store(world, working)
    assert (await world.finish(run.run_id)).state is RunState.COMPLETED
    assert await world.watermark() == run.updated_to


async def test_the_fifth_failure_in_a_row_fails_the_run_and_alerts(world: World) -> None:
    run = await world.read_run()
    consolidator = with_store(world, BrokenStore())
    for _ in range(5):
        await world.rows("UPDATE run_metadata SET next_attempt_at = NULL")
        await consolidator.consolidate(run.run_id)
    failed = await world.get_run(run.run_id)
    assert (failed.state, failed.error) == (
        RunState.FAILED,
        "consolidation: the store is out of reach",
    )
    assert world.alerts.events == ["consolidation_failed"]


async def test_consolidators_that_fail_together_use_one_attempt(pool: Pool) -> None:
    world = World(
        pool, ScriptedSupplier(stones(60)), consolidator_batch_size=5, retry_first_backoff_seconds=60
    )
    run = await world.read_run()
    await world.rows(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.1); RAISE EXCEPTION 'no such column' USING ERRCODE = '42703'; END $$;"
        "CREATE TRIGGER fail BEFORE INSERT ON diamonds FOR EACH ROW EXECUTE FUNCTION fail()"
    )
    consolidators = [world.another_process().consolidator() for _ in range(4)]

    for attempt in range(1, 6):
        assert (await world.get_run(run.run_id)).state in (RunState.INGESTED, RunState.CONSOLIDATING)
        await asyncio.gather(*(one.consolidate(run.run_id) for one in consolidators))
        assert await world.value("SELECT attempts FROM run_metadata") == attempt
        await world.rows("UPDATE run_metadata SET next_attempt_at = NULL")

    assert (await world.get_run(run.run_id)).state is RunState.FAILED
    assert world.alerts.events == ["consolidation_failed"]


async def test_a_watermark_store_that_is_away_is_waited_for(world: World) -> None:
    class Away(PostgresWatermarkStore):
        async def read(self, feed: str) -> Watermark | None:
            raise WatermarkUnavailable("watermarks/nivoda.json: the blob storage is out of reach")

    run = await world.read_run()
    present, world.watermarks = world.watermarks, Away(world.pool)
    consolidator = world.another_process().consolidator()
    for _ in range(7):
        await consolidator.consolidate(run.run_id)
        await world.rows("UPDATE run_metadata SET next_attempt_at = NULL")

    waiting = await world.row("SELECT state, attempts, error FROM run_metadata")
    assert (waiting["state"], waiting["attempts"]) == ("consolidating", 0)
    assert "out of reach" in waiting["error"]

    world.watermarks = present
    await world.another_process().consolidator().consolidate(run.run_id)
    assert (await world.get_run(run.run_id)).state is RunState.COMPLETED
    assert await world.watermark() == run.updated_to


async def test_a_full_disk_is_waited_out_and_tells_a_person(world: World) -> None:
    run = await world.read_run()
    consolidator = world.process.consolidator()
    async with world.full_disk("diamonds"):
        for _ in range(7):
            await consolidator.consolidate(run.run_id)
            await asyncio.sleep(0.02)

    waiting = await world.row("SELECT state, attempts, error FROM run_metadata")
    assert (waiting["state"], waiting["attempts"]) == ("consolidating", 0)
    assert "no space left on device" in waiting["error"]
    assert world.alerts.events == ["database_full"]
    assert f"diamond status {run.run_id}" in world.alerts.raised[0].action

    assert (await world.finish(run.run_id)).state is RunState.COMPLETED


async def test_messages_left_over_do_not_wake_a_run_that_waits_for_a_person(world: World) -> None:
    """While it was consolidated the sweeper invited others; those invitations come when it has failed."""
    run = await world.read_run()
    await world.rows("INSERT INTO pricing_rules (carat_min, carat_max, markup_ratio) VALUES (2, 1, 1.5)")
    await world.process.consolidator().consolidate(run.run_id)
    assert (await world.get_run(run.run_id)).state is RunState.FAILED

    for forced in (False, True, False):
        await world.process.consolidator().handle_consolidate(consolidate_message(run, force=forced))

    assert (await world.get_run(run.run_id)).state is RunState.FAILED
    assert world.alerts.events == ["consolidation_failed"]


def work_done(run: Run) -> WorkDone:
    return WorkDone(
        run_id=run.run_id,
        trace_id=run.trace_id,
        feed=run.feed,
        worker_id=str(uuid4()),
        partition_id="natural-01",
        records_processed=0,
        status="success",
    )


async def test_the_end_of_a_partition_is_enough_to_start_a_consolidation(world: World) -> None:
    run = await world.read_run()
    await world.process.consolidator().handle_work_done(received(work_done(run).to_message(attempt=1)))
    assert (await world.get_run(run.run_id)).state is RunState.COMPLETED


async def test_messages_of_a_run_that_is_gone_are_done_with(world: World) -> None:
    run = await world.read_run()
    await world.rows("DELETE FROM run_metadata")
    await world.process.consolidator().handle_work_done(received(work_done(run).to_message(attempt=1)))
    await world.process.consolidator().handle_consolidate(consolidate_message(run))
    assert await world.value("SELECT count(*) FROM diamonds") == 0


async def test_a_message_that_comes_before_the_run_is_read_changes_nothing(world: World) -> None:
    run = await world.plan()
    await world.process.consolidator().handle_work_done(received(work_done(run).to_message(attempt=1)))
    await world.process.consolidator().handle_consolidate(consolidate_message(run, force=True))
    assert (await world.get_run(run.run_id)).state is RunState.PLANNED
    assert await world.queues[CONSOLIDATE].receive(1, wait_seconds=0) == []
