"""The watermark never moves back, never past a failed range, never to a time after the run's own start."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from diamond_opus.analytics.runs import newest_runs
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.domain.selection import Selection
from diamond_opus.runs import consolidating, store
from diamond_opus.runs.model import Run, RunRefused, RunState, RunType
from diamond_opus.watermark.postgres import PostgresWatermarkStore
from diamond_opus.watermark.protocol import Watermark, advance
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, ScriptedSupplier, stones


class Watched(PostgresWatermarkStore):
    """Keeps every value the watermark ever had."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.written: list[datetime] = []

    async def write(self, feed: str, watermark: Watermark, *, expected_version: str | None) -> Watermark:
        written = await super().write(feed, watermark, expected_version=expected_version)
        self.written.append(watermark.last_updated_at)
        return written


async def every_run(world: World) -> list[Run]:
    async with world.pool.connection() as conn:
        return list(await newest_runs(conn, limit=100))


@pytest.mark.parametrize("threshold", [None, 25])
@pytest.mark.parametrize("seed", range(3))
async def test_invariant_03_whatever_happens_to_runs_the_watermark_only_moves_over_what_was_read(
    pool: Pool, seed: int, threshold: float | None
) -> None:
    """Runs fail in whole or in part, are retried, forced, cancelled and abandoned in any order."""
    rng = random.Random(seed)
    watched = Watched(pool)
    world = World(
        pool,
        ScriptedSupplier(stones(30)),
        watermarks=watched,
        worker_max_attempts=2,
        auto_consolidation_success_threshold=threshold,
        records_per_worker=8,
        heatmap_min_records_per_worker=1,
    )

    async def fail(selection: Selection, offset: int) -> None:
        if threshold is None or (selection.price_from // 80) % 2:
            raise (Fatal if rng.random() < 0.5 else Retryable)("the supplier is not well")

    partial = 0
    for _ in range(12):
        world.supplier.before_page = fail if rng.random() < 0.5 else None
        world.supplier.change(f"nat-{rng.randrange(30):05d}", price_cents=rng.randrange(10_000, 90_000))
        # Only a full run has several ranges here.
        run = await world.run(RunType.FULL if threshold and rng.random() < 0.6 else None)
        partial += run.is_partial
        if run.state is RunState.FAILED:
            await meet_failure(world, run, rng.choice(["leave", "retry", "force", "cancel"]))

    runs = {run.updated_to: run for run in await every_run(world)}
    assert len(watched.written) >= 2
    assert watched.written == sorted(set(watched.written)), "it moved back, or stood still and was written"
    for moment in watched.written:
        run = runs[moment]
        assert (run.state, run.forced, run.failed_workers) == (RunState.COMPLETED, False, 0)
        assert run.completed_workers == run.expected_workers
        assert moment <= run.started_at
    assert (partial > 0) is (threshold is not None)


async def meet_failure(world: World, run: Run, answer: str) -> None:
    if answer == "leave":
        return
    async with world.pool.connection() as conn:
        if answer == "retry":
            world.supplier.before_page = None
            await store.retry_run(conn, run.run_id, actor="test")
        elif answer == "force":
            await consolidating.start_consolidating(conn, run.run_id, force=True, actor="test")
        else:
            await store.cancel_run(conn, run.run_id, actor="test")
            return
    assert (await world.finish(run.run_id)).state is RunState.COMPLETED


async def test_invariant_03_what_changes_while_a_run_lasts_is_read_by_the_next_one(pool: Pool) -> None:
    """The original used the end of the run: what changed meanwhile was never read again."""
    world = World(pool, ScriptedSupplier(stones(30)))
    run = await world.plan()
    while (await world.get_run(run.run_id)).state is not RunState.INGESTED:
        await world.work()
        await asyncio.sleep(0.001)
        await world.sweep()
    world.supplier.change("nat-00001", price_cents=77_700, updated_at=datetime.now(UTC))
    await world.finish(run.run_id)
    assert (await world.diamond("nat-00001"))["feed_price"] == 110

    await world.run(None)

    assert (await world.diamond("nat-00001"))["feed_price"] == 777


async def test_invariant_03_two_writers_at_once_end_with_the_later_time(pool: Pool) -> None:
    store_ = PostgresWatermarkStore(pool)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    moments = [noon + timedelta(minutes=n) for n in range(8)]
    random.Random(1).shuffle(moments)
    await asyncio.gather(*(advance(store_, FEED, Watermark(moment, None, None)) for moment in moments))
    present = await store_.read(FEED)
    assert present is not None
    assert present.last_updated_at == max(moments)


async def test_invariant_03_an_old_run_cannot_be_finished_after_a_newer_one(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(10)))

    async def fail(selection: Selection, offset: int) -> None:
        raise Fatal("no")

    world.supplier.before_page = fail
    old = await world.run()
    world.supplier.before_page = None
    newer = await world.run()
    async with world.pool.connection() as conn:
        for again in (
            store.retry_run(conn, old.run_id, actor="test"),
            consolidating.start_consolidating(conn, old.run_id, force=True, actor="test"),
        ):
            with pytest.raises(RunRefused):
                await again
    assert await world.watermark() == newer.updated_to
