"""With enough of a run read, that much is consolidated; what failed stays due, and nothing is taken for the whole."""

from typing import Any

import psycopg
import pytest

from diamond_opus.analytics.runs import describe_run
from diamond_opus.domain.errors import Fatal
from diamond_opus.domain.selection import Selection
from diamond_opus.queue.protocol import CONSOLIDATE
from diamond_opus.runs import consolidating
from diamond_opus.runs.model import Run, RunRefused, RunState, RunType
from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones
from run_steps import retry, start_consolidating

_RANGES: dict[str, Any] = {"records_per_worker": 20, "heatmap_min_records_per_worker": 1}


def make_world(pool: Pool, threshold: float | None = 50) -> World:
    """Eighty natural stones in several ranges, of which those above 600 dollars can be refused."""
    return World(
        pool,
        ScriptedSupplier([*stones(80), *stones(20, lab_grown=True)]),
        auto_consolidation_success_threshold=threshold,
        **_RANGES,
    )


@pytest.fixture
async def world(pool: Pool) -> World:
    return make_world(pool)


def refuse_dear_stones(world: World) -> None:
    async def refuse(selection: Selection, _offset: int) -> None:
        if not selection.lab_grown and selection.price_from >= 600:
            raise Fatal("the supplier refuses dear stones")

    world.supplier.before_page = refuse


async def read_dear_stones_again(world: World, run: Run) -> list[str]:
    world.supplier.before_page = None
    world.supplier.pages.clear()
    return await retry(world, run)


async def test_what_is_complete_is_consolidated_and_the_rest_stays_due(world: World) -> None:
    refuse_dear_stones(world)

    run = await world.run()

    failed = {i for i, p in (await world.partitions(run.run_id)).items() if p.state == "failed"}
    assert failed
    assert len(failed) < run.expected_workers / 2
    assert (run.state, run.is_partial, run.watermark_after) == (RunState.FAILED, True, None)
    assert run.error is not None
    assert "the supplier refuses dear stones" in run.error
    assert run.error.endswith("what is complete was consolidated")
    assert await world.watermark() is None
    cheap = {s.stone_id for s in world.supplier.stones.values() if s.lab_grown or s.price_cents < 60_000}
    assert cheap <= await world.active_ids() < set(world.supplier.stones)
    [alert] = world.alerts.raised
    assert alert.event == "run_partial"
    assert f"diamond retry {run.run_id}" in alert.text


async def test_a_retry_reads_only_what_failed_and_completes_the_run(world: World) -> None:
    refuse_dear_stones(world)
    run = await world.run()
    failed = {i for i, p in (await world.partitions(run.run_id)).items() if p.state == "failed"}

    assert set(await read_dear_stones_again(world, run)) == failed
    again = await world.get_run(run.run_id)
    assert (again.state, again.is_partial) == (RunState.INGESTING, False)
    finished = await world.finish(run.run_id)

    assert (finished.state, finished.is_partial, finished.error) == (RunState.COMPLETED, False, None)
    assert await world.watermark() == run.updated_to
    assert await world.active_ids() == set(world.supplier.stones)
    ranges = [asked for asked, _ in world.supplier.pages if asked.updated_from is None]
    assert {asked.lab_grown for asked in ranges} == {False}
    assert min(asked.price_from for asked in ranges) >= 600


async def test_nothing_is_removed_before_everything_was_looked_for(world: World) -> None:
    await world.run()
    world.supplier.withdraw("nat-00002")
    refuse_dear_stones(world)

    run = await world.run()

    assert run.is_partial
    assert "nat-00002" in await world.active_ids()
    await read_dear_stones_again(world, run)
    await world.finish(run.run_id)
    assert await world.active_ids() == set(world.supplier.stones)


async def test_the_next_run_begins_where_the_watermark_stayed(world: World) -> None:
    first = await world.run()
    world.supplier.change("nat-00079", price_cents=88_800)
    world.supplier.change("lab-00001", price_cents=77_700)

    async def refuse(selection: Selection, _offset: int) -> None:
        if not selection.lab_grown:
            raise Fatal("the supplier refuses natural stones")

    world.supplier.before_page = refuse
    partial = await world.run(RunType.INCREMENTAL)
    assert partial.is_partial
    assert (await world.diamond("lab-00001"))["feed_price"] == 777
    assert await world.watermark() == first.updated_to
    world.supplier.before_page = None

    await world.run(RunType.INCREMENTAL)

    assert (await world.diamond("nat-00079"))["feed_price"] == 888


@pytest.mark.parametrize("threshold", [None, 95])
async def test_without_the_setting_or_with_too_little_read_the_run_waits(
    pool: Pool, threshold: float | None
) -> None:
    world = make_world(pool, threshold)
    refuse_dear_stones(world)
    run = await world.run()
    assert (run.state, run.is_partial) == (RunState.FAILED, False)
    assert await world.active_ids() == set()
    assert world.alerts.events == ["consolidation_skipped"]


async def test_nothing_read_is_never_enough(pool: Pool) -> None:
    world = make_world(pool, 0.01)

    async def refuse(_selection: Selection, _offset: int) -> None:
        raise Fatal("no")

    world.supplier.before_page = refuse
    assert (await world.run()).is_partial is False


async def test_a_partial_run_may_be_completed_by_force_and_then_counts_as_forced(world: World) -> None:
    refuse_dear_stones(world)
    run = await world.run()
    with pytest.raises(RunRefused, match="--force"):
        await start_consolidating(world, run)

    await start_consolidating(world, run, force=True)
    finished = await world.finish(run.run_id)

    assert (finished.state, finished.forced, finished.is_partial) == (RunState.COMPLETED, True, False)
    assert await world.watermark() is None


async def test_a_partial_consolidation_that_failed_goes_on_as_one(world: World) -> None:
    refuse_dear_stones(world)
    run = await world.plan()
    while (await world.get_run(run.run_id)).state is not RunState.INGESTED:
        await world.work()
        await world.sweep()
    await world.lose_messages()
    async with world.pool.connection() as conn:
        await consolidating.join_consolidation(conn, run.run_id)
        await consolidating.postpone_consolidation(
            conn, run.run_id, error="no room", delay_seconds=0, longest_delay_seconds=0, max_attempts=1
        )
    assert (await world.get_run(run.run_id)).state is RunState.FAILED

    again = await start_consolidating(world, run)
    assert (again.forced, again.is_partial) == (False, True)
    ended = await world.finish(run.run_id)

    assert (ended.state, ended.is_partial) == (RunState.FAILED, True)
    assert len(await world.active_ids()) > 0


async def test_the_database_refuses_a_partial_run_that_calls_itself_completed(world: World) -> None:
    refuse_dear_stones(world)
    run = await world.run()
    await world.rows("UPDATE run_metadata SET state = 'consolidating' WHERE run_id = %s", run.run_id)
    with pytest.raises(psycopg.errors.CheckViolation, match="run_metadata_partial_is_not_completed"):
        await world.rows("UPDATE run_metadata SET state = 'completed' WHERE run_id = %s", run.run_id)


async def test_operators_see_that_it_is_partial(world: World) -> None:
    refuse_dear_stones(world)
    run = await world.run()
    async with world.pool.connection() as conn:
        shown: Any = await describe_run(conn, run.run_id)
    assert (shown["state"], shown["status"], shown["isPartial"]) == ("failed", "partial", True)
    assert "deadlineAt" in shown


async def test_a_message_that_comes_late_does_not_begin_it_again(world: World) -> None:
    refuse_dear_stones(world)
    run = await world.run()
    processed = run.consolidation_processed
    await world.process.consolidator().consolidate(run.run_id)
    after = await world.get_run(run.run_id)
    assert (after.state, after.consolidation_processed) == (RunState.FAILED, processed)
    assert await world.queues[CONSOLIDATE].receive(10, wait_seconds=0) == []
    assert world.alerts.events == ["run_partial"]
