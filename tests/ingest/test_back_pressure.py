"""A slow database slows the reading: what is not stored yet holds back the next page, so nothing piles up in memory."""

import asyncio

from diamond_opus.db.pool import open_pool
from diamond_opus.runs.model import RunState
from faults.proxy import Act, Line, Rule
from pipeline_builders import World
from pipeline_supplier import ScriptedSupplier, stones

STONES = 4_000


async def test_no_page_is_asked_for_while_a_batch_is_being_stored(database_url: str) -> None:
    supplier = ScriptedSupplier(stones(STONES))
    async with (
        Line(database_url) as line,
        open_pool(line.url, application_name="slow", max_size=3) as pool,
    ):
        world = World(pool, supplier)
        run = await world.plan()
        line.weather.rules.append(Rule("INSERT INTO raw_diamonds", Act.HOLD))
        working = asyncio.create_task(world.work())
        async with asyncio.timeout(30):
            while not line.is_held:  # noqa: ASYNC110 - until the first batch is sent
                await asyncio.sleep(0.01)
        asked = len(supplier.pages)
        assert asked * supplier.page_limit < STONES / 2, "no more was read than a batch holds"

        await asyncio.sleep(1)

        assert len(supplier.pages) == asked
        line.release()
        await working
        assert (await world.finish(run.run_id)).state is RunState.COMPLETED
        assert len(await world.rows("SELECT 1 AS stored FROM raw_diamonds")) == STONES
