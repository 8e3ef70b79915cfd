"""What a look writes: never over a newer answer, never past quarantine, and never for a run to undo."""

from datetime import timedelta
from typing import Any

import pytest

from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.nivoda import NivodaMapper
from diamond_opus.feeds.nivoda.offers import read_offer
from diamond_opus.feeds.protocol import RawItem, RawStone
from diamond_opus.ingest.store import Fetched, store_stones
from diamond_opus.runs.model import RunType
from diamond_opus.trade.look import Look
from diamond_opus.trade.model import StoneKey
from diamond_opus.trade.stones import database_time, settle_stone
from pipeline_builders import Pool, World
from pipeline_supplier import FEED, ScriptedSupplier, stones

STONE = "nat-00003"


@pytest.fixture
async def world(pool: Pool) -> World:
    """Ten stones on sale."""
    world = World(pool, ScriptedSupplier(stones(10)))
    await world.run()
    return world


async def look(world: World, **changes: Any) -> None:
    """Ask the supplier about the stone, and store what it says: that it is gone, when it is not listed."""
    if changes:
        world.supplier.change(STONE, **changes)
    listed = world.supplier.stones.get(STONE)
    async with world.pool.connection() as conn:
        asked_at = await database_time(conn)
        seen = Look(asked_at)
        if listed is not None:
            item = listed.item()
            assert isinstance(item, RawItem)
            raw = RawStone(item.supplier_stone_id, item.offer_id, item.payload, False, 0, None)
            seen = Look(asked_at, item, read_offer(item), NivodaMapper().map_stone(raw, []))
        async with conn.transaction():
            await settle_stone(conn, StoneKey(FEED, STONE), seen)


async def quarantine(world: World) -> None:
    """The stone's new price reads well, but consolidation could not store it."""
    await world.rows("ALTER TABLE diamonds ADD CONSTRAINT refused CHECK (feed_price <> 777) NOT VALID")
    world.supplier.change(STONE, price_cents=77_700)
    await world.run(RunType.INCREMENTAL)
    assert (await world.diamond(STONE))["availability"] == "unavailable"


async def test_a_stone_that_is_gone_does_not_return_with_what_was_read_before(world: World) -> None:
    world.supplier.change(STONE, price_cents=77_700)
    await world.read_run(RunType.INCREMENTAL)
    world.supplier.withdraw(STONE)
    await look(world)

    [run] = await world.rows("SELECT run_id FROM run_metadata WHERE state = 'ingested'")
    await world.sweep()
    await world.finish(run["run_id"])

    assert (await world.diamond(STONE))["availability"] == "unavailable"


async def test_a_stone_that_was_gone_and_is_shown_again_is_on_sale_again(world: World) -> None:
    kept = world.supplier.stones[STONE]
    world.supplier.withdraw(STONE)
    await look(world)
    assert (await world.diamond(STONE))["availability"] == "unavailable"

    world.supplier.list(kept)
    await world.run()

    assert (await world.diamond(STONE))["availability"] == "available"


async def test_a_look_puts_no_quarantined_stone_back_on_sale(world: World) -> None:
    await quarantine(world)
    await look(world)
    assert (await world.diamond(STONE))["availability"] == "unavailable"


async def test_a_quarantined_stone_that_a_look_finds_sound_returns_with_the_next_run(world: World) -> None:
    await quarantine(world)

    await look(world, price_cents=66_600)
    assert (await world.diamond(STONE))["availability"] == "unavailable", "its row still has the old price"
    await world.run(RunType.INCREMENTAL)

    returned = await world.diamond(STONE)
    assert (returned["availability"], returned["feed_price"]) == ("available", 666)


async def test_what_was_read_before_the_clock_was_set_back_refuses_no_look(world: World) -> None:
    await set_clock_back(world)

    await look(world, availability="SOLD")

    assert (await world.diamond(STONE))["availability"] != "available"
    world.supplier.withdraw(STONE)
    await set_clock_back(world)
    await look(world)
    assert await world.value(
        "SELECT removed_at IS NOT NULL FROM raw_diamonds WHERE supplier_stone_id = %s", STONE
    )


async def test_what_was_read_before_the_clock_was_set_back_is_read_and_removed_all_the_same(
    world: World,
) -> None:
    await set_clock_back(world)
    world.supplier.change(STONE, price_cents=77_700)
    world.supplier.withdraw("nat-00009")

    await world.run()

    assert (await world.diamond(STONE))["feed_price"] == 777
    assert "nat-00009" not in await world.active_ids()


async def set_clock_back(world: World, by: timedelta = timedelta(hours=2)) -> None:
    """As if everything was stored by a clock that was so much ahead."""
    await world.rows(
        "UPDATE raw_diamonds SET fetched_at = fetched_at + %s, last_seen_at = last_seen_at + %s", by, by
    )
    await world.rows("UPDATE diamonds SET last_seen_at = last_seen_at + %s", by)


async def test_a_page_asked_for_before_the_stone_was_gone_does_not_bring_it_back(world: World) -> None:
    item = world.supplier.stones[STONE].item()
    assert isinstance(item, RawItem)
    async with world.pool.connection() as conn:
        page_asked_at = await database_time(conn)
    world.supplier.withdraw(STONE)
    await look(world)
    run = await world.plan(RunType.INCREMENTAL)

    async with world.pool.connection() as conn, conn.transaction():
        late = [Fetched(item, page_asked_at)]
        await store_stones(conn, FEED, run.run_id, Selection(False, 0, None), late)
    await world.finish(run.run_id)

    assert (await world.diamond(STONE))["availability"] == "unavailable"


async def test_a_look_that_is_written_late_yields_to_a_listing_that_showed_nothing_new(world: World) -> None:
    async with world.pool.connection() as conn:
        asked_at = await database_time(conn)
    await world.run()

    async with world.pool.connection() as conn, conn.transaction():
        await settle_stone(conn, StoneKey(FEED, STONE), Look(asked_at))

    assert (await world.diamond(STONE))["availability"] == "available"


async def test_a_look_at_what_the_database_cannot_hold_tells_its_availability_all_the_same(
    world: World,
) -> None:
    deep = b"[" * 50_000 + b"]" * 50_000
    await look(world, payload=deep)
    assert (await world.diamond(STONE))["availability"] == "unavailable"
