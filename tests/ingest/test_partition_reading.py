"""A partition is cut into ranges that can be read safely; what cannot be cut is read all the same, and said so."""

from datetime import UTC, datetime, timedelta

import pytest

from diamond_opus.domain.selection import Selection
from diamond_opus.runs.model import Run, RunState, RunType
from pipeline_builders import Pool, World
from pipeline_supplier import Listed, ScriptedSupplier, shuffle, stones

SHALLOW = 200  # with the reserve of 100, a range of more than 100 stones is cut


def shallow_world(pool: Pool, supplier: ScriptedSupplier) -> World:
    return World(pool, supplier, worker_max_offset=SHALLOW)


def deepest(world: World) -> int:
    return max(offset for _, offset in world.supplier.pages)


async def stored_ids(world: World) -> set[str]:
    return {row["id"] for row in await world.rows("SELECT supplier_stone_id AS id FROM raw_diamonds")}


async def test_a_big_partition_is_read_in_shallow_ranges_by_price(pool: Pool) -> None:
    world = shallow_world(pool, ScriptedSupplier(stones(700)))
    run = await world.run()
    assert run.state is RunState.COMPLETED
    assert await stored_ids(world) == set(world.supplier.stones)
    assert deepest(world) <= SHALLOW
    assert run.distinct_records == 700


async def test_nothing_is_lost_when_every_request_sees_another_order(pool: Pool) -> None:
    """No pass over offsets is complete then; parts that fit one page are."""
    supplier = ScriptedSupplier(stones(600))
    supplier.before_page = shuffle(supplier, seed=3)
    world = World(pool, supplier)

    run = await world.run()

    assert run.state is RunState.COMPLETED
    assert await stored_ids(world) == set(supplier.stones)
    assert run.distinct_records == 600


async def test_one_crowded_dollar_is_read_by_carats(pool: Pool) -> None:
    crowded = [Listed(f"s-{n}", price_cents=10_050, carats=0.5 + n / 100) for n in range(400)]
    world = shallow_world(pool, ScriptedSupplier(crowded))
    run = await world.run()
    assert run.state is RunState.COMPLETED
    assert await stored_ids(world) == set(world.supplier.stones)
    assert deepest(world) <= SHALLOW
    assert {s.price_to for s, _ in world.supplier.pages if s.carats_from} == {101}


async def test_one_crowded_dollar_and_weight_is_read_by_shape_and_color(pool: Pool) -> None:
    supplier = ScriptedSupplier()
    crowded = [
        Listed(
            f"s-{n}",
            price_cents=10_050,
            shape=supplier.shapes[0] if n % 3 else supplier.shapes[1],
            color=supplier.colors[n % 4],
        )
        for n in range(340)
    ]
    supplier.list(*crowded)
    world = shallow_world(pool, supplier)
    run = await world.run()
    assert run.state is RunState.COMPLETED
    assert await stored_ids(world) == set(world.supplier.stones)
    assert deepest(world) <= SHALLOW
    assert any(selection.colors for selection, _ in supplier.pages)


async def test_a_shape_that_the_suppliers_list_lacks_is_not_lost(pool: Pool) -> None:
    """Parts by shape would not cover the range, fresh counts show it, and colors are tried instead."""
    supplier = ScriptedSupplier()
    crowded = [
        Listed(
            f"s-{n}",
            price_cents=10_050,
            shape="DRAGON" if n % 2 else "ROUND",
            color=supplier.colors[n % 4],
        )
        for n in range(300)
    ]
    supplier.list(*crowded)
    world = shallow_world(pool, supplier)
    await world.run()
    assert await stored_ids(world) == set(world.supplier.stones)
    assert deepest(world) <= SHALLOW
    assert not any(selection.shapes for selection, _ in supplier.pages)


async def test_what_nothing_can_split_is_read_deep_and_said_so(pool: Pool) -> None:
    world = shallow_world(pool, ScriptedSupplier([Listed(f"s-{n}", price_cents=10_050) for n in range(330)]))
    run = await world.run()
    assert run.state is RunState.COMPLETED
    assert await stored_ids(world) == set(world.supplier.stones)
    assert deepest(world) > SHALLOW
    notes = (await world.partitions(run.run_id))["natural-01"].notes
    assert len(notes) == 2, "stones of exactly 1.50 carats lie in the ranges on both sides of it"
    for note in notes:
        assert note.startswith("read past offset 200: natural USD 100 to 101, 1.")
        assert "no price, carats, shape or color is left" in note


async def test_a_count_that_is_half_the_truth_does_not_lead_deep(pool: Pool) -> None:
    """The count says that a range is shallow; the reading finds that it is not, and splits it after all."""
    world = shallow_world(pool, ScriptedSupplier(stones(360)))
    world.supplier.count_factor = 0.5
    run = await world.run()
    assert run.state is RunState.COMPLETED
    assert await stored_ids(world) == set(world.supplier.stones)
    assert deepest(world) <= SHALLOW
    partition = (await world.partitions(run.run_id))["natural-01"]
    assert partition.count_disputed
    assert all("the supplier counts" in note for note in partition.notes)


async def test_stones_at_a_shared_edge_come_twice_and_count_once(pool: Pool) -> None:
    supplier = ScriptedSupplier(
        [
            *stones(90, step_cents=500),
            *[Listed(f"edge-{n}", price_cents=50_000) for n in range(15)],
            *stones(90, first=200, step_cents=500),
        ]
    )
    world = shallow_world(pool, supplier)
    run = await world.run()
    assert await stored_ids(world) == set(supplier.stones)
    at_the_edge = sum(stone.price_cents == 50_000 for stone in supplier.stones.values())
    assert run.fetched_records == run.distinct_records + at_the_edge
    assert run.expected_records == run.distinct_records == 195


async def test_a_stone_that_moves_between_ranges_while_they_are_read_is_caught_up_with(pool: Pool) -> None:
    """Its new range was read before it came, its old one after it left: only the catch-up can see it."""
    supplier = ScriptedSupplier(stones(300))
    world = shallow_world(pool, supplier)
    moved = supplier.stones["nat-00299"]

    async def move_it_down(selection: Selection, offset: int) -> None:
        if selection.price_from > 1000 and supplier.stones[moved.stone_id] is moved:
            supplier.change(moved.stone_id, price_cents=10_100)

    supplier.before_page = move_it_down

    run = await world.run()

    partitions = await world.partitions(run.run_id)
    assert partitions["natural-01"].distinct_records == 299
    assert partitions["catch-up-natural"].distinct_records == 1
    diamond = await world.diamond(moved.stone_id)
    assert diamond["feed_price"] == 101
    assert run.distinct_records == 300


async def test_the_catch_up_asks_from_a_quarter_of_an_hour_before_the_plan(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(20)))
    run = await world.run()
    asked = {s.updated_from for s, _ in world.supplier.pages if s.updated_from}
    assert asked == {run.updated_to - timedelta(minutes=15)}


async def test_an_incremental_run_asks_only_for_what_changed_and_never_names_an_end(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(40)))
    await world.run()
    watermark = await world.watermark()
    assert watermark is not None
    world.supplier.change("nat-00005", availability="HOLD")
    world.supplier.pages.clear()

    run = await world.run(RunType.INCREMENTAL)

    assert run.updated_from == watermark - timedelta(minutes=15)
    assert {selection.updated_from for selection, _ in world.supplier.pages} == {run.updated_from}
    assert (run.distinct_records, run.unchanged_records) == (1, 0)
    assert (await world.diamond("nat-00005"))["availability"] == "on_hold"


async def figures(run: Run) -> dict[str, int]:
    return {
        name: getattr(run, f"{name}_records")
        for name in ("expected", "fetched", "distinct", "unchanged", "rejected", "unreadable", "removed")
    }


async def test_a_run_accounts_for_every_stone(pool: Pool) -> None:
    supplier = ScriptedSupplier(
        [
            *stones(40),
            *stones(10, lab_grown=True),
            Listed("bad", certificate={"shape": ""}),
            Listed("null", is_null=True),
        ]
    )
    world = World(pool, supplier)
    first = await world.run()
    assert await figures(first) == {
        "expected": 52,
        "fetched": 51,
        "distinct": 51,
        "unchanged": 0,
        "rejected": 1,
        "unreadable": 1,
        "removed": 0,
    }
    supplier.change("nat-00003", availability="SOLD", updated_at=datetime(2020, 1, 1, tzinfo=UTC))

    second = await world.run()

    assert await figures(second) == {
        "expected": 52,
        "fetched": 51,
        "distinct": 51,
        "unchanged": 50,
        "rejected": 0,
        "unreadable": 1,
        "removed": 0,
    }


@pytest.mark.parametrize("overlap", [1, 5, 40])
async def test_the_overlap_is_a_setting(pool: Pool, overlap: int) -> None:
    world = World(pool, ScriptedSupplier(stones(120)), worker_page_overlap=overlap)
    await world.run()
    assert await stored_ids(world) == set(world.supplier.stones)
    offsets = [offset for selection, offset in world.supplier.pages if not selection.lab_grown]
    assert offsets[:2] == [0, 50 - overlap]
