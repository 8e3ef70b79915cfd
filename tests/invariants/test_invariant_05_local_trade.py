"""A local hold or sale survives consolidation until newer evidence comes from the supplier."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from diamond_opus.runs.model import RunType
from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones

STONE = "nat-00003"
LOCAL = ("local_status", "local_status_at", "local_hold_until")


@pytest.fixture
async def world(pool: Pool) -> World:
    world = World(pool, ScriptedSupplier(stones(20)))
    await world.run()
    return world


async def trade(world: World, status: str) -> dict[str, Any]:
    """As a hold or a sale made here writes it; returns the local columns."""
    now = datetime.now(UTC)
    await world.rows(
        "UPDATE diamonds SET local_status = %s, local_status_at = %s, local_hold_until = %s"
        " WHERE supplier_stone_id = %s",
        status,
        now,
        now + timedelta(hours=2) if status == "on_hold" else None,
        STONE,
    )
    return await local(world)


async def local(world: World) -> dict[str, Any]:
    diamond = await world.diamond(STONE)
    return {name: diamond[name] for name in LOCAL}


@pytest.mark.parametrize("status", ["on_hold", "sold", "unavailable"])
@pytest.mark.parametrize("run_type", list(RunType))
async def test_invariant_05_a_newer_listing_leaves_local_trade_alone(
    world: World, status: str, run_type: RunType
) -> None:
    traded = await trade(world, status)
    world.supplier.change(STONE, price_cents=99_900)

    await world.run(run_type)

    diamond = await world.diamond(STONE)
    assert diamond["feed_price"] == 999, "the payload is newer and was consolidated"
    assert await local(world) == traded
    assert diamond["feed_availability"] == "available", "a listing that still says AVAILABLE ends nothing"
    assert diamond["availability"] == status


@pytest.mark.parametrize(
    ("listed", "held_here", "sold_here", "not_for_sale_here"),
    [
        ("AVAILABLE", "on_hold", "sold", "unavailable"),
        ("HOLD", "on_hold", "sold", "unavailable"),
        ("SOLD", "sold", "sold", "sold"),
        ("NOT_AVAILABLE", "unavailable", "sold", "unavailable"),
    ],
)
async def test_invariant_05_what_a_shop_sees_follows_from_both(
    world: World, listed: str, held_here: str, sold_here: str, not_for_sale_here: str
) -> None:
    world.supplier.change(STONE, availability=listed)
    await world.run()
    for status, seen in (("on_hold", held_here), ("sold", sold_here), ("unavailable", not_for_sale_here)):
        await trade(world, status)
        assert (await world.diamond(STONE))["availability"] == seen


async def test_invariant_05_a_stone_that_the_feed_says_is_sold_is_sold_whatever_was_held(
    world: World,
) -> None:
    traded = await trade(world, "on_hold")
    world.supplier.change(STONE, availability="SOLD")
    await world.run(RunType.INCREMENTAL)
    assert (await world.diamond(STONE))["availability"] == "sold"
    assert await local(world) == traded, "the hold's own record stays for its history"


async def test_invariant_05_a_payload_that_becomes_bad_and_good_again_keeps_local_trade(world: World) -> None:
    traded = await trade(world, "sold")
    for certificate in ({"shape": ""}, {}):
        world.supplier.change(STONE, certificate=certificate)
        await world.run()
        assert await local(world) == traded
        assert (await world.diamond(STONE))["availability"] == "sold"


async def test_invariant_05_consolidating_everything_anew_keeps_local_trade(world: World) -> None:
    traded = await trade(world, "on_hold")
    await world.rows("INSERT INTO pricing_rules (priority, markup_ratio) VALUES (1, 3)")
    await world.rows("UPDATE raw_diamonds SET consolidated = FALSE")
    await world.run()
    assert (await world.diamond(STONE))["markup_ratio"] == 3
    assert await local(world) == traded
