"""Pages: what they hold, in which order, and how they mislead."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from supplier_client import ITEM, supplier

from diamond_opus.simulator import density
from diamond_opus.simulator.vocabulary import CLARITIES, COLORS, QUALITIES

Item = dict[str, Any]


async def test_the_same_seed_gives_the_same_stones_byte_for_byte() -> None:
    async with supplier() as one, supplier() as same, supplier(seed=8) as other:
        pages = [await client.page(fields=ITEM) for client in (one, same, other)]

        assert pages[0] == pages[1]
        assert pages[0] != pages[2]


async def test_natural_and_lab_grown_are_a_third_and_two_thirds() -> None:
    async with supplier(stones=20_000) as client:
        natural, lab_grown = await client.count(labgrown=False), await client.count(labgrown=True)

        assert natural + lab_grown == 20_000
        assert natural / 20_000 == pytest.approx(0.326, abs=0.02)


async def test_without_the_labgrown_filter_there_are_natural_stones_only() -> None:
    async with supplier() as client:
        assert await client.walk() == await client.walk({"labgrown": False})
        assert await client.count() == await client.count(labgrown=False)


async def test_walking_a_still_inventory_finds_every_stone_once() -> None:
    async with supplier() as client:
        found = [item["id"] for item in await client.both()]

        assert len(found) == 2_000
        assert set(found) == {truth.offer_id for truth in client.sim.truth()}


async def test_beyond_the_end_there_is_an_empty_page() -> None:
    async with supplier() as client:
        items, answer = await client.page(offset=1_000_000)

        assert items == []
        assert "errors" not in answer


async def test_dollar_ranges_are_inclusive_at_both_ends_and_compare_cents_with_whole_dollars() -> None:
    async with supplier() as client:
        prices = sorted(item["price"] for item in await client.both())
        cents = next(price for price in prices[500:] if price % 100)
        low, high = cents // 100, cents // 100 + 1

        async def holds(**ends: int) -> bool:
            items = await client.walk({"labgrown": True, "dollar_value": ends}) + await client.walk(
                {"dollar_value": ends}
            )
            assert all(ends["from"] * 100 <= item["price"] <= ends["to"] * 100 for item in items)
            return any(item["price"] == cents for item in items)

        assert await holds(**{"from": low, "to": high})
        assert not await holds(**{"from": low - 1, "to": low})
        assert not await holds(**{"from": high, "to": high + 1})


async def test_whole_dollar_prices_at_a_shared_edge_come_in_both_bands() -> None:
    async with supplier() as client:
        [item], _ = await client.page({"labgrown": True}, limit=1, fields="id diamond { id }")
        await client.control("change", reprice={item["diamond"]["id"]: 77_700})

        for ends in ({"from": 700, "to": 777}, {"from": 777, "to": 800}):
            assert item["id"] in {
                each["id"] for each in await client.walk({"labgrown": True, "dollar_value": ends})
            }


def _cents_per_carat(item: Item) -> float:
    return float(item["price"] / item["diamond"]["certificate"]["carats"])


def _certificate(item: Item) -> Item:
    certificate: Item = item["diamond"]["certificate"]
    return certificate


#: A filter and what holds for exactly the stones it lets through, told from their answers.
FILTERS: list[tuple[Item, Callable[[Item], bool]]] = [
    ({"shapes": ["ROUND", "CUSHION B"]}, lambda i: _certificate(i)["shape"] in {"ROUND", "CUSHION B"}),
    ({"shapes": ["Round"]}, lambda _: False),
    ({"shapes": "OVAL"}, lambda i: _certificate(i)["shape"] == "OVAL"),
    ({"sizes": {"from": 0.55, "to": 1.03}}, lambda i: 0.55 <= _certificate(i)["carats"] <= 1.03),
    (
        {"sizes": [{"from": 0.29, "to": 0.6}, {"from": 1.5, "to": 1.5}]},
        lambda i: 0.29 <= _certificate(i)["carats"] <= 0.6 or _certificate(i)["carats"] == 1.5,
    ),
    ({"dollar_per_carat": {"from": 180, "to": 209}}, lambda i: 18_000 <= _cents_per_carat(i) <= 20_900),
    ({"dollar_value": {"from": 100, "to": 300}, "color": ["D"]},
     lambda i: 10_000 <= i["price"] <= 30_000 and _certificate(i)["color"] == "D"),
    ({"search_on_markup_price": True, "dollar_value": {"from": 100, "to": 300}},
     lambda i: 10_000 <= i["markup_price"] <= 30_000),
    ({"discount": {"from": -40, "to": -20}}, lambda i: -4_000 <= i["discount"] <= -2_000),
    ({"color": ["E", "FANCY"]}, lambda i: _certificate(i)["color"] in {"E", "FANCY"}),
    ({"clarity": "VVS1"}, lambda i: _certificate(i)["clarity"] == "VVS1"),
    ({"cut": ["EX", "ID"]}, lambda i: _certificate(i)["cut"] in {"EX", "ID"}),
    ({"polish": ["VG"]}, lambda i: _certificate(i)["polish"] == "VG"),
    ({"symmetry": ["GD", "G"]}, lambda i: _certificate(i)["symmetry"] in {"GD", "G"}),
    ({"flouresence": ["STG", "STN"]}, lambda i: _certificate(i)["floInt"] in {"STG", "STN"}),
    ({"flouresence_color": ["Blue"]}, lambda i: _certificate(i)["floCol"] in {"B", "BLUE", "Blue"}),
    ({"certificate_lab": ["GIA"]}, lambda i: _certificate(i)["lab"] == "GIA"),
    ({"availability": ["HOLD", "ON_HOLD"]}, lambda i: i["diamond"]["availability"] in {"HOLD", "ON_HOLD"}),
    ({"hide_memo": True}, lambda i: i["diamond"]["availability"] not in {"MEMO", "ON_MEMO", "CONSIGNMENT"}),
    ({"excludeFairPoorCuts": True}, lambda i: _certificate(i)["cut"] not in {"PR", "P", "FR", "F"}),
    ({"labgrown_type": ["HPHT"]}, lambda i: _certificate(i)["labgrown_type"] == "HPHT"),
    ({"has_image": True}, lambda i: i["diamond"]["image"] is not None),
    ({"has_v360": True}, lambda i: i["diamond"]["v360"] is not None),
    ({"has_image": True, "has_v360": True}, lambda i: bool(i["diamond"]["image"] or i["diamond"]["v360"])),
    ({"has_certpdf": True}, lambda i: _certificate(i)["pdfUrl"] is not None),
    ({"treated": True}, lambda i: _certificate(i)["treated"] is True),
    ({"treated": False}, lambda i: _certificate(i)["treated"] is False),
    ({"returns": True}, lambda i: i["diamond"]["return_window"] is not None),
    ({"return_window_timeline": 14}, lambda i: (i["diamond"]["return_window"] or 0) >= 14),
    ({"delivery_time": [4]}, lambda i: i["diamond"]["delivery_time"]["max_business_days"] <= 4),
    ({"eyeClean": ["Yes"]}, lambda i: i["diamond"]["eyeClean"] in {"Yes", "100%"}),
    ({"eyeClean": ["No"], "sue": True}, lambda i: i["diamond"]["eyeClean"] in {"No", None}),
    ({"brown": [0]}, lambda i: i["diamond"]["brown"] == "No"),
    ({"green": [1, 2], "sub": True}, lambda i: i["diamond"]["green"] in {"Faint", "Light", None}),
    ({"luster": [0], "sul": True}, lambda i: i["diamond"]["milky"] in {"No", None}),
    ({"fancyColor": ["orange brown"]}, lambda i: _certificate(i)["f_color"] == "ORANGE BROWN"),
    ({"fancyIntensity": ["FANCY INTENSE"]},
     lambda i: _certificate(i)["f_intensity"] in {"FANCY_INTENSE", "FANCY INTENSE"}),
    ({"girdle": ["THN"]}, lambda i: _certificate(i)["girdle"] in {"Thin", "TN - TK"}),
    ({"culet": ["NON"]}, lambda i: _certificate(i)["culetSize"] in {"NON", "NONE", ""}),
    ({"key_to_symbols": ["feather"]}, lambda i: "Feather" in (_certificate(i)["keyToSymbols"] or "")),
    ({"key_to_symbols": ["feather"], "key_to_symbols_contains": False, "suk": True},
     lambda i: "Feather" not in (_certificate(i)["keyToSymbols"] or "")),
    ({"mine_of_origin": ["CANADA"]}, lambda i: i["diamond"]["mine_of_origin"] == "CANADA"),
    ({"location": ["HK"]}, lambda i: i["diamond"]["location"] == "HK"),
    ({"length_mm": {"from": 6.5, "to": 7.25}}, lambda i: 6.5 <= float(_certificate(i)["length"]) <= 7.25),
    ({"depth_percentage": {"from": 60, "to": 62.5}}, lambda i: 60 <= float(_certificate(i)["depthPercentage"]) <= 62.5),
    ({"table_percentage": {"from": 57, "to": 58}}, lambda i: 57 <= float(_certificate(i)["table"]) <= 58),
    ({"crown_angle": {"from": 34, "to": 35}}, lambda i: 34 <= float(_certificate(i)["crownAngle"] or 0) <= 35),
    ({"star_length": {"from": 50, "to": 50}}, lambda i: _certificate(i)["starLength"] == "50.00"),
    ({"ratio": {"from": 1.3, "to": 1.5}},
     lambda i: _certificate(i)["width"] != "0"
     and Decimal("1.3") <= Decimal(_certificate(i)["length"]) / Decimal(_certificate(i)["width"]) <= Decimal("1.5")),
    ({"color": [], "cut": None, "sizes": []}, lambda _: True),
]  # fmt: skip


async def test_every_filter_lets_exactly_the_fitting_stones_through() -> None:
    async with supplier(stones=3_000) as client:
        for lab_grown in (False, True):
            everything = await client.walk({"labgrown": lab_grown}, fields=ITEM)
            for query, fits in FILTERS:
                asked = {"labgrown": lab_grown, **query}
                expected = {item["id"] for item in everything if fits(item)}

                assert {item["id"] for item in await client.walk(asked)} == expected, asked
                assert await client.count(**asked) == len(expected), asked


async def test_suppliers_and_ids_can_be_asked_for() -> None:
    fields = "id diamond { id supplier { id } }"
    async with supplier() as client:
        everything = await client.walk(fields=fields)
        vendor = everything[0]["diamond"]["supplier"]["id"]
        ids = [item["diamond"]["id"] for item in everything[10:14]]

        assert await client.walk({"suppliers": [vendor]}, fields=fields) == [
            item for item in everything if item["diamond"]["supplier"]["id"] == vendor
        ]
        assert await client.walk({"filter_ids": ids}, fields=fields) == everything[10:14]
        assert await client.walk({"filter_ids": [*ids, "unknown"], "labgrown": True}) == []


async def test_certificate_numbers_silence_the_rest_of_the_query() -> None:
    async with supplier() as client:
        wanted, _ = await client.page(
            {"labgrown": True}, limit=2, fields="id diamond { certificate { certNumber } }"
        )
        numbers = [item["diamond"]["certificate"]["certNumber"] for item in wanted]

        found, _ = await client.page(
            {
                "certificate_numbers": [*numbers, "LG1"],
                "labgrown": False,
                "shapes": ["nothing"],
                "hearts_arrows": True,
            }
        )

        assert {item["id"] for item in found} == {item["id"] for item in wanted}


@pytest.mark.parametrize("name", ["hearts_arrows", "is_fbn", "add_taxes_on_search", "post_growth"])
async def test_a_filter_without_an_honest_effect_is_refused_by_name(name: str) -> None:
    async with supplier() as client:
        ask = f"{{ diamonds_by_query_count(query: {{{name}: true}}) }}"

        assert f'"{name}"' in await client.problem(ask)
        assert await client.count(**{name: False}) == await client.count()


async def test_a_date_that_is_none_is_refused() -> None:
    async with supplier() as client:
        ask = '{ diamonds_by_query_count(query: {updated: {from: "yesterday"}}) }'

        assert "yesterday" in await client.problem(ask)


async def test_an_inverted_range_gives_about_thirty_odd_rows() -> None:
    async with supplier() as client:
        query = {"labgrown": True, "dollar_value": {"from": 900, "to": 100}}
        items = await client.walk(query)

        assert 20 <= len(items) <= 40
        assert await client.count(**query) == len(items)
        assert any(not 10_000 <= item["price"] <= 90_000 for item in items)


def _ranked(words: tuple[str | None, ...]) -> Callable[[str | None], int]:
    return lambda word: len(words) if word is None else words.index(word)


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("price", lambda i: i["price"]),
        ("discount", lambda i: i["discount"]),
        ("size", lambda i: _certificate(i)["carats"]),
        ("price_per_carat", _cents_per_carat),
        ("color", lambda i: _ranked(COLORS.values)(_certificate(i)["color"])),
        ("clarity", lambda i: _ranked(CLARITIES.values)(_certificate(i)["clarity"])),
        ("cut", lambda i: _ranked(QUALITIES.values)(_certificate(i)["cut"])),
    ],
)
async def test_stones_come_in_the_order_asked(order: str, key: Callable[[Item], float]) -> None:
    fields = "id price discount diamond { certificate { carats color clarity cut } }"
    async with supplier() as client:
        ascending = await client.walk(fields=fields, order={"type": order, "direction": "ASC"})
        descending = await client.walk(fields=fields, order={"type": order, "direction": "DESC"})

        assert [key(item) for item in ascending] == sorted(key(item) for item in ascending)
        assert [key(item) for item in descending] == sorted((key(item) for item in descending), reverse=True)


async def test_the_order_of_creation_has_many_ties_and_no_answer_field() -> None:
    async with supplier(stones=20_000) as client:
        created = {truth.offer_id: truth.created_ms for truth in client.sim.truth()}
        walked = [created[item["id"]] for item in await client.walk()]

        assert walked == sorted(walked)
        biggest = max(walked.count(moment) for moment in set(walked))
        assert biggest > 50


async def test_orders_without_a_sense_of_their_own_are_accepted() -> None:
    async with supplier() as client:
        for order in ({"type": "none", "direction": "ASC"}, {"type": "insert", "direction": "DESC"}, None):
            assert len(await client.walk(order=order)) == await client.count()


async def test_unstable_ties_swap_neighbours_of_equal_key_from_request_to_request() -> None:
    async with supplier(unstable_ties=True, tie_swap_rate=0.3, stones=5_000) as client:
        created = {truth.offer_id: truth.created_ms for truth in client.sim.truth()}
        pages = [[item["id"] for item in (await client.page(offset=500))[0]] for _ in range(6)]

        assert len({tuple(page) for page in pages}) > 1
        for page in pages:
            moments = [created[offer_id] for offer_id in page]
            assert moments == sorted(moments)


async def test_a_swap_across_a_page_edge_shows_one_stone_twice_and_hides_another() -> None:
    async with supplier(unstable_ties=True, tie_swap_rate=0.5, stones=5_000) as client:
        found = [item["id"] for item in await client.walk()]

        assert len(set(found)) < len(found) == await client.count()


async def test_without_unstable_ties_the_same_page_comes_again() -> None:
    async with supplier() as client:
        assert await client.page(offset=500) == await client.page(offset=500)


async def test_a_short_page_withholds_its_last_rows_which_stand_at_their_own_offsets() -> None:
    async with supplier(short_page_rate=0.5) as client, supplier() as whole:
        expected = [item["id"] for item in await whole.walk({"labgrown": True})]
        sizes: set[int] = set()
        found: list[str] = []
        while items := (await client.page({"labgrown": True}, offset=len(found)))[0]:
            sizes.add(len(items))
            found += [item["id"] for item in items]

        assert found == expected
        assert 50 in sizes
        assert min(sizes) < 50
        assert client.sim.stats()["short_pages"] > 3


async def test_no_page_is_so_short_that_it_looks_like_the_end() -> None:
    async with supplier(short_page_rate=1.0) as client:
        for offset in range(0, 600, 7):
            assert (await client.page(offset=offset, limit=2))[0]


async def test_the_count_can_be_made_to_lie() -> None:
    async with supplier() as honest, supplier(count_factor=0.5) as lying:
        assert await lying.count() == await honest.count() // 2


async def test_the_updated_window_has_two_optional_ends() -> None:
    async with supplier() as client:
        everything = await client.count()
        now = datetime.now(UTC).isoformat()

        assert await client.count(updated={"from": now}) == 0
        assert await client.count(updated={"to": now}) == everything
        assert await client.count(updated={"from": "2000-01-01T00:00:00.000Z", "to": now}) == everything
        assert 0 < await client.count(updated={"from": "2024-06-01"}) < everything


def test_natural_prices_have_the_quantiles_that_were_measured() -> None:
    cents, carats = density.draw_natural(np.random.default_rng(1), 200_000)
    dollars = cents / 100
    measured = {0.1: 213, 0.25: 537, 0.5: 1246, 0.75: 3026, 0.9: 8081, 0.99: 47835}
    for share, value in measured.items():
        assert np.quantile(dollars, share) == pytest.approx(value, rel=0.05)
    assert np.mean(dollars < 500) == pytest.approx(100_451 / 428_771, abs=0.01)
    per_carat = {0.25: 883, 0.5: 1439, 0.75: 2542, 0.9: 4852}
    for share, value in per_carat.items():
        assert np.quantile(cents / carats, share) == pytest.approx(value, rel=0.08)


def test_lab_grown_prices_keep_the_three_known_statements() -> None:
    cents, carats = density.draw_lab_grown(np.random.default_rng(1), 200_000)
    per_carat = cents / carats
    assert np.mean(per_carat < 250) == pytest.approx(0.85, abs=0.01)
    assert np.mean((per_carat >= 180) & (per_carat <= 209)) * 902_000 == pytest.approx(36_413, rel=0.08)
    assert np.mean(per_carat < 650) > 0.98
