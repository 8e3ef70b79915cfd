"""A moving inventory: indexes that keep up, a truth that remembers."""

import random
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from supplier_client import CALM, supplier

from diamond_opus.simulator.churn import Churn
from diamond_opus.simulator.clock import Clock
from diamond_opus.simulator.filters import Lookup, compile_filter
from diamond_opus.simulator.inventory import Inventory
from diamond_opus.simulator.selections import Selections

NO_LOOKUP = Lookup(lambda _: [], lambda _: [], lambda _: [])


def _by_brute_force(inventory: Inventory, query: dict[str, Any]) -> set[int]:
    columns = inventory.columns
    low, high = query.get("dollar_value", {"from": 0, "to": 21_000_000}).values()
    kept = columns.present & (columns.lab_grown == query["labgrown"])
    kept &= (columns.price_cents >= low * 100) & (columns.price_cents <= high * 100)
    if "availability" in query:
        kept &= columns.availability == 0
    return set(np.flatnonzero(kept).tolist())


@pytest.mark.parametrize(
    ("stones", "burst"), [(1_500, 1), (1_500, 40), (1_500, 3_000), (12_000, 20), (12_000, 250)]
)
def test_selections_and_counts_stay_right_whatever_moves(stones: int, burst: int) -> None:
    inventory = Inventory(seed=3, stones=stones)
    selections = Selections(inventory)
    churn = Churn(inventory, Clock(), seed=1, per_1000_requests=0, per_second=0)
    dice = random.Random(burst)
    queries: list[dict[str, Any]] = [
        {"labgrown": False},
        {"labgrown": True, "dollar_value": {"from": 100, "to": 900}},
        {"labgrown": False, "dollar_value": {"from": 500, "to": 4_000}, "availability": ["AVAILABLE"]},
        {"labgrown": True, "availability": ["AVAILABLE"]},
    ]
    for _ in range(30):
        churn.apply(burst)
        query = dice.choice(queries)
        filter_ = compile_filter(query, NO_LOOKUP)
        expected = _by_brute_force(inventory, query)

        assert selections.count(filter_) == len(expected)
        for order, keys in (
            ("createdAt", inventory.columns.created_ms),
            ("price", inventory.columns.price_cents),
        ):
            selection = selections.select(filter_, order, descending=False)
            rows, row_keys = selection.window(0, len(selection))
            assert set(rows.tolist()) == expected
            assert len(rows) == len(expected)
            ranks = list(zip(keys[rows].tolist(), rows.tolist(), strict=True))
            assert ranks == sorted(ranks)
            assert np.array_equal(row_keys, keys[rows])
            start = dice.randrange(len(rows))
            part, part_keys = selection.window(start, start + 20)
            assert part.tolist() == rows[start : start + 20].tolist()
            assert part_keys.tolist() == row_keys[start : start + 20].tolist()
        assert selections.count(filter_) == len(expected)


def test_a_descending_selection_is_patched_in_its_own_order() -> None:
    inventory = Inventory(seed=3, stones=800)
    selections = Selections(inventory)
    churn = Churn(inventory, Clock(), seed=1, per_1000_requests=0, per_second=0)
    filter_ = compile_filter({"labgrown": True}, NO_LOOKUP)
    for _ in range(20):
        selection = selections.select(filter_, "price", descending=True)
        prices = inventory.columns.price_cents[selection.window(0, len(selection))[0]].tolist()
        assert len(prices) == selections.count(filter_)
        assert prices == sorted(prices, reverse=True)
        churn.apply(7)


def test_the_same_seed_moves_the_same_stones() -> None:
    histories = []
    for seed in (1, 1, 2):
        inventory = Inventory(seed=3, stones=500)
        Churn(inventory, Clock(), seed=seed, per_1000_requests=0, per_second=0).apply(400)
        histories.append(
            [(event.kind, event.row, event.before, event.after) for event in inventory.log.since(0)]
        )

    assert histories[0] == histories[1] != histories[2]


def test_an_inventory_of_nothing_can_still_move() -> None:
    inventory = Inventory(seed=3, stones=0)
    churn = Churn(inventory, Clock(), seed=1, per_1000_requests=0, per_second=0)
    churn.apply(100)

    assert inventory.present_count > 0
    assert Selections(inventory).count(compile_filter({"labgrown": True}, NO_LOOKUP)) > 0


def test_stones_without_end_can_be_inserted() -> None:
    inventory = Inventory(seed=3, stones=10)
    rows = [inventory.insert(1_800_000_000_000) for _ in range(40_000)]

    assert len(set(rows)) == 40_000
    assert inventory.present_count == 40_010
    assert inventory.columns.price_cents[rows].min() >= 0
    assert len({inventory.stone_id(row) for row in rows[::500]}) == 80


async def test_churn_by_request_happens_at_the_rate_set() -> None:
    async with supplier(churn_per_1000_requests=500) as client:
        for _ in range(40):
            await client.count()

        assert client.sim.stats()["events"] == pytest.approx(20, abs=2)


async def test_churn_by_time_happens_as_the_clock_goes() -> None:
    async with supplier(churn_per_second=2.0) as client:
        client.sim.advance(100)
        await client.count()

        assert client.sim.stats()["events"] == pytest.approx(200, abs=20)


async def test_a_share_of_the_inventory_can_be_spread_over_the_next_requests() -> None:
    async with supplier() as client:
        await client.control("churn", share=0.02, requests=20)
        counts = []
        for _ in range(30):
            await client.count()
            counts.append(client.sim.stats()["events"])

        assert counts[9] == pytest.approx(20, abs=2)
        assert counts[-1] == counts[19] == pytest.approx(40, abs=1)


async def test_events_can_be_ordered_at_once_and_are_told_one_by_one() -> None:
    async with supplier() as client:
        assert await client.control("churn", events=60) == {"events": 60}
        events = await client.ndjson("events?since=50")

        assert [event["number"] for event in events] == list(range(51, 61))
        assert {event["kind"] for event in await client.ndjson("events")} >= {
            "repriced",
            "removed",
            "inserted",
        }


async def test_the_truth_remembers_prices_and_when_a_stone_was_there() -> None:
    async with supplier() as client:
        [first, second], _ = await client.page(limit=2, fields="diamond { id } price")
        one, other = first["diamond"]["id"], second["diamond"]["id"]
        inserted = (await client.control("change", reprice={one: 123_456}, insert=1))["inserted"][0]
        await client.control("change", remove=[other])
        truths = {truth["id"]: truth for truth in await client.ndjson("truth")}

        assert len(truths) == 2_001
        assert truths[one]["price_history"] == [[0, first["price"]], [1, 123_456]]
        assert truths[one]["price_cents"] == 123_456
        assert truths[inserted]["first_event"] == 2
        assert (truths[other]["present"], truths[other]["last_event"]) == (False, 3)
        assert truths[other]["last_at_ms"] == pytest.approx(client.sim.supplier.clock.now_ms(), abs=60_000)
        assert [truth.id for truth in client.sim.truth()] == list(truths)


async def test_a_stone_that_vanished_is_found_by_nobody_until_it_returns_to_its_old_place() -> None:
    by_id = "query($id: ID!) { get_diamond_by_id(diamond_id: $id) { id } }"
    async with supplier() as client:
        before = await client.walk({"labgrown": True}, fields="id diamond { id certificate { certNumber } }")
        stone = before[100]["diamond"]
        await client.control("change", remove=[stone["id"]])

        assert await client.count(labgrown=True) == len(before) - 1
        assert await client.count(labgrown=True, filter_ids=[stone["id"]]) == 0
        assert await client.count(certificate_numbers=[stone["certificate"]["certNumber"]]) == 0
        assert await client.problem(by_id, {"id": stone["id"]}) == "Diamond not found"

        await client.control("change", relist=[stone["id"]])
        assert (
            await client.walk({"labgrown": True}, fields="id diamond { id certificate { certNumber } }")
        ) == before


async def test_a_removal_shifts_later_stones_to_earlier_offsets() -> None:
    async with supplier() as client:
        first, _ = await client.page(fields="id diamond { id }")
        second, _ = await client.page(offset=50)
        await client.control("change", remove=[first[0]["diamond"]["id"]])

        assert (await client.page(offset=50))[0][0] == second[1]


async def test_new_stones_join_at_the_end_and_old_ones_keep_their_offsets() -> None:
    async with supplier() as client:
        before = await client.both(fields="id")
        inserted = (await client.control("change", insert=30))["inserted"]
        for lab_grown in (False, True):
            after = [item["id"] for item in await client.walk({"labgrown": lab_grown}, fields="id")]
            old = [offer_id for offer_id in after if {"id": offer_id} in before]
            assert after[: len(old)] == old
            assert {offer_id.removeprefix("DIAMOND/") for offer_id in after[len(old) :]} <= set(inserted)


async def test_the_updated_window_shows_what_moved_and_is_still_listed() -> None:
    async with supplier() as client:
        since = datetime.fromtimestamp(client.sim.supplier.clock.now_ms() / 1000, UTC)
        client.sim.advance(3_600)
        await client.control("churn", events=200)
        moved = {
            truth.offer_id
            for truth in client.sim.truth()
            if truth.present and truth.updated_ms > since.timestamp() * 1000
        }
        window = {"updated": {"from": since.isoformat()}}

        shown = await client.walk({"labgrown": False, **window}) + await client.walk(
            {"labgrown": True, **window}
        )
        assert {item["id"] for item in shown} == moved
        assert len(moved) > 100


async def test_a_share_of_the_stones_can_vanish_at_once() -> None:
    async with supplier() as client:
        await client.control("churn", remove_share=0.25)

        assert client.sim.stats()["stones_present"] == CALM.stones * 3 // 4


async def test_an_impossible_order_is_refused_with_the_reason() -> None:
    async with supplier() as client:
        for name, body in (
            ("change", {"remove": ["nobody"]}),
            ("change", {"availability": {"x": "SOLD"}}),
            ("churn", {"share": 1}),
            ("advance", {"seconds": -1}),
            ("faults", {"faults": [{"kind": "earthquake"}]}),
            ("faults", {"faults": [{"kind": "slow", "colour": 1}]}),
            ("decide", {"order_id": "x", "confirm": True}),
        ):
            async with client.http.post(client.sim.control_url + name, json=body) as response:
                assert response.status == 400, (name, body)
                assert (await response.json())["error"].startswith(f"{name}: ")
        async with client.http.get(client.sim.control_url + "nothing") as response:
            assert response.status == 404
