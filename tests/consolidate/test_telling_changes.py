"""Whatever the pipeline does to diamonds, it tells which: copies of the catalogue follow and are not read anew."""

from uuid import UUID

import pytest

from diamond_opus.catalog.engine import Catalog
from diamond_opus.catalog.index.catalog_index import View, load_view, measure_distance
from diamond_opus.catalog.index.load import read_changed_ids
from diamond_opus.consolidate.replay import replay_rejected
from diamond_opus.db.pool import transaction
from diamond_opus.runs.model import RunType
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, Listed, ScriptedSupplier, stones


@pytest.fixture
async def world(pool: Pool) -> World:
    world = World(pool, ScriptedSupplier(stones(60)), consolidator_batch_size=20, removal_guard_share=0.9)
    await world.rows("ALTER TABLE diamonds ADD CONSTRAINT refused CHECK (feed_price <> 600)")  # nat-00050
    await world.run()
    await world.rows("ALTER TABLE diamonds DROP CONSTRAINT refused")
    return world


async def view_now(world: World) -> View:
    async with world.pool.connection() as conn, transaction(conn, snapshot=True):
        return await load_view(conn)


async def changes_since(world: World, before: View) -> set[UUID]:
    async with world.pool.connection() as conn, transaction(conn, snapshot=True):
        assert (await measure_distance(conn, before)).stones is not None
        ids = await read_changed_ids(conn, before.versions)
        return {UUID(bytes=ids.id_of(row)) for row in range(len(ids))}


async def test_a_consolidation_tells_the_new_the_changed_the_rejected_and_the_removed(world: World) -> None:
    before = await view_now(world)
    world.supplier.list(Listed("new"))
    world.supplier.change("nat-00003", price_cents=77_700)
    world.supplier.change("nat-00004", certificate={"shape": ""})
    world.supplier.change("nat-00050", availability="HOLD")
    world.supplier.withdraw("nat-00005")
    await world.run()

    changes = await changes_since(world, before)

    changed = ("new", "nat-00003", "nat-00004", "nat-00005", "nat-00050")
    assert changes == {(await world.diamond(stone_id))["id"] for stone_id in changed}
    assert (await world.diamond("nat-00005"))["status"] == "deleted"


async def test_a_replay_tells_its_stones(world: World) -> None:
    before = await view_now(world)
    async with world.pool.connection() as conn:
        replay = await replay_rejected(conn, FEED, ids=["nat-00050"], reason=None, actor="test")
    await world.process.consolidator().consolidate(replay.run_id)

    changes = await changes_since(world, before)

    assert changes == {(await world.diamond("nat-00050"))["id"]}


async def test_an_index_follows_a_run_without_reading_everything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog()
    await catalog.refresh(world.pool)
    monkeypatch.setattr("diamond_opus.catalog.engine.load_view", None)
    world.supplier.list(Listed("new"))
    world.supplier.change("new")
    world.supplier.change("nat-00003", price_cents=77_700)
    await world.run(RunType.INCREMENTAL)

    await catalog.refresh(world.pool)

    async with world.pool.connection() as conn, transaction(conn, snapshot=True):
        view = (await catalog.at(conn)).view
    assert view is not None
    assert view.total({}) == 60
