"""A plan is stored whole or not at all, asks no more counts than it may, and fixes its window before the first."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from diamond_opus.domain.errors import Retryable
from diamond_opus.domain.selection import Selection
from diamond_opus.queue.protocol import WORK_ITEMS
from diamond_opus.runs import store
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.watermark.memory import MemoryWatermarkStore
from diamond_opus.watermark.protocol import Watermark
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, ScriptedSupplier, stones


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier([*stones(60), *stones(20, lab_grown=True)]))


def crowded_world(pool: Pool) -> World:
    """Enough stones for several partitions of each type."""
    return World(
        pool,
        ScriptedSupplier([*stones(400), *stones(300, lab_grown=True)]),
        records_per_worker=100,
        heatmap_min_records_per_worker=50,
    )


async def change_everything(world: World) -> None:
    for stone_id in list(world.supplier.stones):
        world.supplier.change(stone_id, availability="HOLD")


async def test_a_full_plan_covers_every_price_of_both_types_and_catches_up_at_the_end(pool: Pool) -> None:
    world = crowded_world(pool)

    run = await world.plan()

    partitions = (await world.partitions(run.run_id)).values()
    for lab_grown in (False, True):
        ranges = sorted(
            (p.price_from, p.price_to) for p in partitions if p.lab_grown is lab_grown and p.kind == "range"
        )
        assert len(ranges) > 1
        assert ranges[0][0] == 0
        assert ranges[-1][1] is None
        assert [end for _, end in ranges[:-1]] == [start for start, _ in ranges[1:]], "shared edges"
    assert sorted(p.partition_id for p in partitions if p.kind == "catch_up") == [
        "catch-up-lab-grown",
        "catch-up-natural",
    ]
    assert run.expected_workers == len(partitions)
    assert run.expected_records == 700
    assert (run.updated_from, run.watermark_before) == (None, None)


async def test_there_are_never_more_partitions_than_the_setting_allows(pool: Pool) -> None:
    supplier = ScriptedSupplier([*stones(400), *stones(300, lab_grown=True)])
    world = World(
        pool, supplier, records_per_worker=10, heatmap_min_records_per_worker=1, heatmap_max_workers=6
    )
    assert (await world.plan()).expected_workers <= 6


async def test_a_plan_wakes_every_range_once_and_no_catch_up_yet(pool: Pool) -> None:
    world = crowded_world(pool)
    run = await world.plan()
    messages = await world.queues[WORK_ITEMS].receive(1000, wait_seconds=0)
    partitions = await world.partitions(run.run_id)
    assert sorted(m.id for m in messages) == sorted(
        f"{run.run_id}:{name}:1" for name, p in partitions.items() if p.kind == "range"
    )
    [some] = [m.body for m in messages if m.body["partitionId"] == "natural-01"]
    assert (some["minPrice"], some["maxPrice"]) == (0, partitions["natural-01"].price_to)
    assert some["totalRecords"] == partitions["natural-01"].expected_records


async def test_the_window_ends_before_the_first_count_by_the_databases_clock(world: World) -> None:
    times = []

    async def look_at_the_clock(*_: object) -> None:
        times.append(await world.value("SELECT clock_timestamp()"))

    world.supplier.before_count = look_at_the_clock

    run = await world.plan()

    assert times
    assert all(run.updated_to < time for time in times)
    assert run.updated_to <= run.started_at


async def test_without_a_watermark_a_run_is_full_and_after_it_incremental(world: World) -> None:
    first = await world.finish((await world.plan(None)).run_id)
    assert (first.run_type, first.watermark_after) == (RunType.FULL, first.updated_to)
    second = await world.plan(None)
    assert second.run_type is RunType.INCREMENTAL
    assert second.watermark_before == first.updated_to
    assert second.updated_from == first.updated_to - timedelta(minutes=15)


async def test_an_incremental_run_without_a_watermark_reads_everything(world: World) -> None:
    run = await world.run(RunType.INCREMENTAL)
    assert (run.run_type, run.updated_from, run.distinct_records) == (RunType.INCREMENTAL, None, 80)
    assert await world.watermark() == run.updated_to


@pytest.mark.parametrize("run_type", [None, RunType.INCREMENTAL, RunType.FULL])
async def test_a_watermark_in_the_future_is_told_and_everything_is_read(
    world: World, run_type: RunType | None
) -> None:
    ahead = datetime.now(UTC) + timedelta(days=30)
    await world.watermarks.write(FEED, Watermark(ahead, None, None), expected_version=None)

    run = await world.run(run_type)

    assert run.updated_from is None
    assert run.run_type is (run_type or RunType.FULL)
    assert run.fetched_records >= 80
    assert world.alerts.events == ["watermark_ahead"]
    assert "clock" in world.alerts.raised[0].text
    assert await world.watermark() == run.updated_to
    following = await world.run(None)
    assert following.run_type is RunType.INCREMENTAL
    assert world.alerts.events == ["watermark_ahead"]


async def test_an_incremental_plan_takes_two_counts_and_borrows_the_last_scan(pool: Pool) -> None:
    world = crowded_world(pool)
    await world.run()
    await change_everything(world)
    world.supplier.counts.clear()

    run = await world.plan(RunType.INCREMENTAL)

    assert len(world.supplier.counts) == 2
    assert {(s.lab_grown, s.price_from, s.price_to) for s in world.supplier.counts} == {
        (False, 0, None),
        (True, 0, None),
    }
    assert all(s.updated_from == run.updated_from for s in world.supplier.counts)
    partitions = await world.partitions(run.run_id)
    assert sum(p.expected_records for p in partitions.values()) == pytest.approx(700, abs=20)
    assert {p.kind for p in partitions.values()} == {"range"}


async def test_an_incremental_plan_without_any_scan_stays_within_its_twenty_counts(pool: Pool) -> None:
    world = crowded_world(pool)
    await world.plan(RunType.INCREMENTAL)
    assert len(world.supplier.counts) <= 20


async def test_only_scans_of_everything_are_kept_for_borrowing(world: World) -> None:
    await world.run()
    await world.run(RunType.INCREMENTAL)
    scans = await world.rows("SELECT lab_grown, total FROM density_scans ORDER BY lab_grown")
    assert scans == [{"lab_grown": False, "total": 60}, {"lab_grown": True, "total": 20}]


async def test_an_empty_inventory_is_a_completed_run_with_no_work_and_a_warning(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier())

    run = await world.run()

    assert (run.state, run.expected_workers, run.expected_records) == (RunState.COMPLETED, 0, 0)
    assert await world.partitions(run.run_id) == {}
    assert world.alerts.events == ["empty_inventory"]
    assert world.supplier.pages == []
    assert await world.watermark() == run.updated_to


async def test_an_inventory_that_is_suddenly_empty_removes_nothing(world: World) -> None:
    await world.run()
    world.supplier.withdraw(*list(world.supplier.stones))

    run = await world.run()

    assert (run.state, run.removed_records) == (RunState.COMPLETED, 0)
    assert len(await world.active_ids()) == 80
    assert world.alerts.events == ["empty_inventory", "removal_guarded", "removal_guarded"]


async def test_an_incremental_run_in_which_nothing_changed_completes_without_a_warning(world: World) -> None:
    first = await world.run()

    run = await world.run(RunType.INCREMENTAL)

    assert (run.state, run.expected_workers) == (RunState.COMPLETED, 0)
    assert world.alerts.events == []
    assert await world.watermark() == run.updated_to > first.updated_to


async def test_a_type_without_stones_is_asked_all_the_same(pool: Pool) -> None:
    """The count may be older than the stone."""
    world = World(pool, ScriptedSupplier(stones(10)))
    run = await world.run()
    assert set(await world.partitions(run.run_id)) == {
        "natural-01",
        "lab-grown-01",
        "catch-up-natural",
        "catch-up-lab-grown",
    }
    assert any(selection.lab_grown for selection, _ in world.supplier.pages)


async def test_a_planner_that_fails_leaves_nothing_behind(world: World) -> None:
    async def fail(selection: Selection, offset: int) -> None:
        raise Retryable("502")

    world.supplier.before_count = fail
    with pytest.raises(Retryable):
        await world.plan()
    assert await world.value("SELECT count(*) FROM run_metadata") == 0
    assert await world.lose_messages() == 0

    world.supplier.before_count = None
    assert (await world.run()).state is RunState.COMPLETED


async def test_a_planner_that_dies_before_it_wakes_anybody_is_no_loss(world: World) -> None:
    run = await world.plan()
    await world.lose_messages()
    await world.sweep()
    assert (await world.finish(run.run_id)).state is RunState.COMPLETED


async def test_a_safety_overlap_of_the_operators_choice(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(5)), incremental_safety_minutes=120)
    first = await world.run()
    second = await world.plan(RunType.INCREMENTAL)
    assert second.updated_from == first.updated_to - timedelta(minutes=120)


async def test_a_watermark_set_back_by_a_person_is_where_the_next_run_begins(world: World) -> None:
    first = await world.run()
    present = await world.watermarks.read(FEED)
    assert present is not None
    earlier = first.updated_to - timedelta(days=3)
    await world.watermarks.write(FEED, Watermark(earlier, None, None), expected_version=present.version)

    run = await world.plan(RunType.INCREMENTAL)

    assert run.updated_from == earlier - timedelta(minutes=15)


async def test_a_run_of_another_feed_is_not_woken_by_this_feeds_plan(world: World) -> None:
    await world.rows(
        "INSERT INTO run_metadata (feed, run_type, state, expected_workers, updated_to, trace_id)"
        " VALUES ('another', 'full', 'ingested', 0, now(), 't')"
    )
    await world.plan()
    async with world.pool.connection() as conn:
        due = await store.take_due_runs(conn, quiet_seconds=0, feed="another")
    assert [run.wakes for run in due] == [1]


async def test_a_watermark_of_another_state_of_the_database_is_not_believed(world: World) -> None:
    """A restored database is older than a watermark that is kept elsewhere; changes between them would be missed."""
    world.watermarks = MemoryWatermarkStore()
    world.process = world.another_process()
    first = await world.run(RunType.FULL)
    present = await world.watermarks.read(FEED)
    assert present is not None
    later = Watermark(datetime.now(UTC), str(uuid4()), None)
    await world.watermarks.write(FEED, later, expected_version=present.version)

    run = await world.run(None)

    assert run.run_type is RunType.INCREMENTAL
    assert run.updated_from == first.updated_to - timedelta(minutes=15)
    assert world.alerts.events == ["watermark_ahead"]
    moved = await world.watermarks.read(FEED)
    assert moved is not None
    assert (moved.last_updated_at, moved.last_run_id) == (run.updated_to, str(run.run_id))
    assert (await world.run(None)).updated_from == run.updated_to - timedelta(minutes=15)
    assert world.alerts.events == ["watermark_ahead"]


async def test_a_run_that_was_active_in_the_backup_does_not_make_it_believed(world: World) -> None:
    """It goes on after the restore and finds the later watermark: it has not read up to there."""
    world.watermarks = MemoryWatermarkStore()
    world.process = world.another_process()
    await world.run(RunType.FULL)
    active = await world.plan(RunType.INCREMENTAL)
    present = await world.watermarks.read(FEED)
    assert present is not None
    later = Watermark(datetime.now(UTC) + timedelta(milliseconds=1), str(uuid4()), None)
    await world.watermarks.write(FEED, later, expected_version=present.version)
    assert (await world.finish(active.run_id)).watermark_after == later.last_updated_at

    run = await world.run(None)

    assert run.watermark_before == active.updated_to
    assert run.updated_from == active.updated_to - timedelta(minutes=15)
    moved = await world.watermarks.read(FEED)
    assert moved is not None
    assert moved.last_run_id == str(run.run_id)


async def test_a_watermark_over_an_empty_database_is_not_believed_either(world: World) -> None:
    world.watermarks = MemoryWatermarkStore()
    world.process = world.another_process()
    await world.watermarks.write(
        FEED, Watermark(datetime.now(UTC), "a run of elsewhere", None), expected_version=None
    )

    run = await world.run(None)

    assert (run.run_type, run.updated_from) == (RunType.FULL, None)


async def test_a_watermark_that_a_person_set_without_a_run_is_believed(world: World) -> None:
    await world.run(RunType.FULL)
    present = await world.watermarks.read(FEED)
    assert present is not None
    wanted = Watermark(datetime.now(UTC) - timedelta(days=9), None, None)
    await world.watermarks.write(FEED, wanted, expected_version=present.version)

    assert (await world.run(None)).updated_from == wanted.last_updated_at - timedelta(minutes=15)
