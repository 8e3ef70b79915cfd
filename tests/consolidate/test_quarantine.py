"""A bad stone is set aside with its reason, leaves its neighbours alone, and comes back when it is good."""

from typing import Any

import pytest

from diamond_opus.runs.model import RunState, RunType
from pipeline_builders import Pool, World
from pipeline_supplier import Listed, ScriptedSupplier, stones

BAD = "nat-00007"


@pytest.fixture
async def world(pool: Pool) -> World:
    return World(pool, ScriptedSupplier(stones(60)))


async def rejection(world: World, stone_id: str = BAD) -> dict[str, Any]:
    return await world.row("SELECT * FROM rejected_diamonds WHERE supplier_stone_id = %s", stone_id)


async def open_rejections(world: World) -> list[str]:
    rows = await world.rows(
        "SELECT supplier_stone_id AS id FROM rejected_diamonds WHERE resolved_at IS NULL ORDER BY id"
    )
    return [row["id"] for row in rows]


async def refuse(world: World, condition: str) -> None:
    """Let the database take no diamond for which ``condition`` is false."""
    await world.rows(f"ALTER TABLE diamonds ADD CONSTRAINT refused CHECK ({condition}) NOT VALID")


async def test_a_bad_stone_is_set_aside_with_its_path_and_reason(world: World) -> None:
    world.supplier.change(BAD, certificate={"shape": " "})

    run = await world.run()

    assert (run.state, run.rejected_records, run.consolidation_errors) == (RunState.COMPLETED, 1, 1)
    row = await rejection(world)
    assert (row["json_path"], row["reason"]) == ("$.diamond.certificate.shape", "shape missing")
    assert (row["readable"], row["run_id"], row["resolved_at"]) == (True, run.run_id, None)
    assert row["payload"]["diamond"]["id"] == BAD
    assert row["offer_id"] == f"DIAMOND/{BAD}"
    assert BAD not in await world.active_ids()
    assert len(await world.active_ids()) == 59


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"price_cents": 0}, "$.price"),
        ({"certificate": {"carats": 0}}, "$.diamond.certificate.carats"),
        ({"certificate": {"carats": 1000}}, "$.diamond.certificate.carats"),
        ({"certificate": {"carats": None}}, "$.diamond.certificate.carats"),
        (
            {"payload": b'{"id":"DIAMOND/nat-00007","price":1000,"diamond":{"id":"nat-00007"}}'},
            "$.diamond.certificate",
        ),
        ({"payload": b"[]"}, "$"),
    ],
)
async def test_what_cannot_be_a_diamond_says_where(world: World, fields: dict[str, Any], path: str) -> None:
    world.supplier.change(BAD, **fields)
    run = await world.run()
    assert run.state is RunState.COMPLETED
    assert (await rejection(world))["json_path"] == path
    assert len(await world.active_ids()) == 59


async def test_a_stone_returns_by_itself_when_its_payload_is_good(world: World) -> None:
    world.supplier.change(BAD, certificate={"shape": ""})
    await world.run()
    world.supplier.change(BAD, certificate={}, availability="HOLD")

    await world.run(RunType.INCREMENTAL)

    assert (await rejection(world))["resolved_at"] is not None
    assert (await world.diamond(BAD))["availability"] == "on_hold"
    assert await open_rejections(world) == []


async def test_a_stone_on_sale_that_becomes_bad_is_unavailable_until_it_is_good_again(world: World) -> None:
    await world.run()
    price = (await world.diamond(BAD))["feed_price"]
    good = world.supplier.stones[BAD]
    world.supplier.change(BAD, certificate={"shape": ""}, price_cents=99_900)
    await world.run(RunType.INCREMENTAL)

    bad = await world.diamond(BAD)
    assert (bad["availability"], bad["status"], bad["feed_price"]) == ("unavailable", "active", price)

    world.supplier.list(good)  # the very payload it was made from
    world.supplier.change(BAD)
    await world.run(RunType.INCREMENTAL)

    again = await world.diamond(BAD)
    assert (again["availability"], again["raw_hash"]) == ("available", bad["raw_hash"])
    assert await open_rejections(world) == []


async def test_a_stone_that_stays_bad_is_listed_once_since_it_was_first_seen(world: World) -> None:
    world.supplier.change(BAD, certificate={"shape": ""})
    first = await world.run()
    seen = await rejection(world)
    world.supplier.change(BAD, certificate={"shape": "", "cut": "GD"})
    second = await world.run()
    again = await rejection(world)
    assert (seen["run_id"], again["run_id"]) == (first.run_id, second.run_id)
    assert again["first_seen_at"] == seen["first_seen_at"]
    assert again["last_seen_at"] > seen["last_seen_at"]


async def test_a_stone_that_was_good_bad_good_and_bad_is_open_again(world: World) -> None:
    for shape in ("", "OVAL", ""):
        world.supplier.change(BAD, certificate={"shape": shape})
        await world.run()
    assert await open_rejections(world) == [BAD]


async def test_replaying_after_a_mended_mapping_lets_a_stone_leave_quarantine(world: World) -> None:
    await world.rows(
        "INSERT INTO rejected_diamonds (feed, supplier_stone_id, run_id, reason, json_path)"
        " VALUES ('nivoda', %s, gen_random_uuid(), 'an older mapper was stricter', '$')",
        BAD,
    )
    await world.run()
    assert await open_rejections(world) == []


async def test_one_stone_that_the_database_refuses_costs_its_neighbours_nothing(world: World) -> None:
    await refuse(world, "feed_price <> 170")

    run = await world.run()

    assert run.state is RunState.COMPLETED
    assert await world.active_ids() == set(world.supplier.stones) - {BAD}
    row = await rejection(world)
    assert row["json_path"] == "$"
    assert row["reason"].startswith("the database refuses the stone: new row for relation")
    assert (run.consolidation_processed, run.rejected_records) == (60, 1)


async def test_several_refused_stones_among_known_and_new_ones_are_each_found(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(150)), consolidator_batch_size=40)
    await world.run()
    for stone_id in list(world.supplier.stones):
        world.supplier.change(stone_id, availability="HOLD")
    world.supplier.list(*stones(50, first=150))
    await refuse(world, "feed_price NOT IN (170, 180, 990, 1990) OR feed_availability = 'unavailable'")

    run = await world.run()

    assert run.state is RunState.COMPLETED
    assert await open_rejections(world) == ["nat-00007", "nat-00008", "nat-00089", "nat-00189"]
    held = await world.rows("SELECT availability, count(*) FROM diamonds GROUP BY 1")
    assert {row["availability"]: row["count"] for row in held} == {
        "on_hold": 147,
        "unavailable": 3,
        "available": 49,
    }


async def test_a_refusal_by_a_trigger_is_about_the_stone_as_well(world: World) -> None:
    await world.rows(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no stones of %% dollars', NEW.feed_price; END $$"
    )
    await world.rows(
        "CREATE TRIGGER refuse BEFORE INSERT ON diamonds FOR EACH ROW WHEN (NEW.feed_price = 170)"
        " EXECUTE FUNCTION refuse()"
    )
    await world.run()
    assert (await rejection(world))["reason"] == "the database refuses the stone: no stones of 170.00 dollars"
    assert len(await world.active_ids()) == 59


async def test_a_fault_of_the_database_quarantines_nothing(world: World) -> None:
    """A missing column, a full disk, a time-out: the run fails with the reason, and the catalogue stays on sale."""
    await world.run()
    for stone_id in list(world.supplier.stones):
        world.supplier.change(stone_id, availability="HOLD")
    await world.rows("ALTER TABLE diamonds RENAME COLUMN rating TO stars")

    run = await world.run()

    assert run.state is RunState.FAILED
    assert run.error is not None
    assert 'column "rating" of relation "staging" does not exist' in run.error
    assert world.alerts.events == ["consolidation_failed"]
    assert await open_rejections(world) == []
    assert await world.value("SELECT count(*) FROM diamonds WHERE availability = 'available'") == 60
    assert await world.value("SELECT count(*) FROM raw_diamonds WHERE NOT consolidated") == 60


async def test_odd_fields_are_counted_with_examples(world: World) -> None:
    for number in range(20):
        world.supplier.change(f"nat-{number:05d}", certificate={"length": f"about {number}"})
    run = await world.run()
    assert len(await world.active_ids()) == 60
    [warning] = await world.rows(
        "SELECT * FROM run_warnings WHERE json_path = '$.diamond.certificate.length'"
    )
    assert (warning["run_id"], warning["occurrences"]) == (run.run_id, 20)
    assert warning["examples"]


async def test_null_items_leave_the_list_when_a_later_full_run_has_made_its_own(world: World) -> None:
    world.supplier.list(Listed("null", is_null=True))
    first = await world.run()
    assert first.unreadable_records == 1
    [made_up] = await open_rejections(world)
    assert made_up.startswith(f"{first.run_id}:natural-01:")
    world.supplier.withdraw("null")

    await world.run(RunType.INCREMENTAL)
    assert await open_rejections(world) == [made_up], "it did not look at everything"
    await world.run()
    assert await open_rejections(world) == []


async def test_quarantine_belongs_to_a_feed(world: World) -> None:
    await world.rows(
        "INSERT INTO rejected_diamonds (feed, supplier_stone_id, run_id, reason, json_path)"
        " VALUES ('another', %s, gen_random_uuid(), 'r', '$')",
        BAD,
    )
    await world.run()
    assert await open_rejections(world) == [BAD]
