"""A canonical row is map(newest raw) priced by the current rules; a newer raw payload is never marked done unseen."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import RawItem
from diamond_opus.ingest.store import Fetched, store_stones
from diamond_opus.runs import consolidating
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from pipeline_builders import Pool, World, run_to_end, simulated_pipeline
from pipeline_oracle import compare_with_raw
from pipeline_supplier import FEED, ScriptedSupplier, stones

HELD = "nat-00000"


async def test_invariant_04_after_runs_over_a_moving_inventory_every_row_is_its_newest_payload(
    pool: Pool, database_url: str
) -> None:
    settings = SimulatorSettings(
        stones=1200, seed=6, hostile_share=0.1, wrong_types=True, churn_per_1000_requests=400
    )
    async with Simulator(settings) as simulator, simulated_pipeline(database_url, simulator) as pipeline:
        for number, run_type in enumerate((RunType.FULL, RunType.INCREMENTAL, RunType.FULL)):
            run = await run_to_end(pipeline, run_type)
            assert run.state is RunState.COMPLETED
            async with pool.connection() as conn:
                assert await compare_with_raw(conn) > 1000
                await conn.execute(
                    b"INSERT INTO pricing_rules (priority, carat_min, markup_ratio, rating)"
                    b" VALUES (%s, %s, 1.5, 3)",
                    (10 + number, number),
                )
                # The rules changed: what follows is priced by the new ones.
                await conn.execute(b"UPDATE raw_diamonds SET consolidated = FALSE")


@pytest.mark.parametrize("seed", range(3))
async def test_invariant_04_payloads_written_while_consolidators_work_are_never_marked_done_unseen(
    pool: Pool, seed: int
) -> None:
    """Writers and three consolidators at once, in any order; at the end every row is its newest payload."""
    rng = random.Random(seed)
    world = World(pool, ScriptedSupplier(stones(120)), consolidator_batch_size=7)
    run = await world.plan()
    while (await world.get_run(run.run_id)).state is not RunState.INGESTED:
        await world.work()
        await asyncio.sleep(0.001)
        await world.sweep()
    async with world.pool.connection() as conn:
        await consolidating.start_consolidating(conn, run.run_id, force=False, actor="test")
    await world.lose_messages()
    start = datetime.now(UTC)
    writing = True

    async def write() -> None:
        nonlocal writing
        for number in range(40):
            ids = rng.sample(sorted(set(world.supplier.stones) - {HELD}), 5)
            for stone_id in ids:
                world.supplier.change(stone_id, price_cents=rng.randrange(10_000, 900_000))
            await store_some(world, run.run_id, ids, start + timedelta(seconds=number))
        writing = False

    async def consolidate() -> None:
        consolidator = world.another_process(consolidator_concurrency=1).consolidator()
        while writing:
            await consolidator.consolidate(run.run_id)

    async with world.pool.connection() as conn, conn.transaction():
        # One stone is kept pending, so that the run cannot end before the writers do.
        await conn.execute(b"SELECT FROM raw_diamonds WHERE supplier_stone_id = %s FOR UPDATE", (HELD,))
        await asyncio.gather(write(), *(consolidate() for _ in range(3)))
        assert (await world.get_run(run.run_id)).state is RunState.CONSOLIDATING
    await world.process.consolidator().consolidate(run.run_id)
    assert (await world.get_run(run.run_id)).state is RunState.COMPLETED

    async with world.pool.connection() as conn:
        assert await compare_with_raw(conn) == 120
    prices = {
        r["id"]: r["p"]
        for r in await world.rows(
            "SELECT supplier_stone_id AS id, (feed_price * 100)::int AS p FROM diamonds"
        )
    }
    assert prices == {stone_id: stone.price_cents for stone_id, stone in world.supplier.stones.items()}


async def store_some(world: World, run_id: UUID, ids: list[str], at: datetime) -> None:
    found = []
    for stone_id in ids:
        item = world.supplier.stones[stone_id].item()
        assert isinstance(item, RawItem)
        found.append(Fetched(item, at))
    async with world.pool.connection() as conn, conn.transaction():
        await store_stones(conn, FEED, run_id, Selection(False), found)
