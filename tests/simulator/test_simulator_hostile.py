"""Hostile stones: what they answer is what the ground truth says of them."""

from collections import Counter
from typing import Any

import pytest
from supplier_client import ITEM, Client, supplier

from diamond_opus.simulator.hostile import KINDS

BY_DEFAULT = {kind.name for kind in KINDS if kind.option == "always"}


async def _both_with_nulls(client: Client) -> tuple[dict[str, Any], int, list[dict[str, Any]]]:
    """Items by offer id, the number of null items, and all errors, of the whole inventory."""
    items: dict[str, Any] = {}
    nulls, errors = 0, []
    for lab_grown in (False, True):
        offset = 0
        while True:
            page, answer = await client.page({"labgrown": lab_grown}, offset=offset, fields=ITEM)
            if not page:
                break
            offset += len(page)
            nulls += page.count(None)
            items |= {item["id"]: item for item in page if item}
            errors += answer.get("errors", [])
    return items, nulls, errors


async def test_about_one_stone_in_two_hundred_is_hostile_by_default() -> None:
    async with supplier(stones=50_000, hostile_share=0.005) as client:
        hostile = client.sim.stats()["hostile_present"]

        assert sum(hostile.values()) == pytest.approx(250, rel=0.25)
        assert len(hostile) > 20


async def test_every_kind_occurs_and_null_items_are_exactly_the_unreadable_stones() -> None:
    async with supplier(stones=4_000, hostile_share=0.5) as client:
        truths = client.sim.truth()
        items, nulls, _ = await _both_with_nulls(client)

        assert {truth.hostile for truth in truths} - {None} == BY_DEFAULT
        unreadable = {truth.offer_id for truth in truths if truth.verdict == "unreadable"}
        assert nulls == len(unreadable) > 100
        assert set(items) == {truth.offer_id for truth in truths} - unreadable


async def test_the_truth_tells_what_is_answered() -> None:
    async with supplier(stones=4_000, hostile_share=0.5) as client:
        items, _, _ = await _both_with_nulls(client)
        for truth in client.sim.truth():
            if item := items.get(truth.offer_id):
                certificate = item["diamond"]["certificate"]
                assert item["price"] == truth.price_cents
                assert certificate["carats"] == truth.carats
                assert certificate["shape"] == truth.shape
                assert item["diamond"]["availability"] == truth.availability
                assert certificate["certNumber"] == truth.certificate_number


async def test_each_kind_is_odd_in_its_own_way() -> None:
    async with supplier(stones=8_000, hostile_share=0.6) as client:
        items, _, _ = await _both_with_nulls(client)
        seen: dict[str, Any] = {}
        listed = {}
        for truth in client.sim.truth():
            if truth.hostile and truth.offer_id in items:
                seen[truth.hostile] = items[truth.offer_id]
                listed[truth.hostile] = truth.listed_price_cents

        def certificate(kind: str) -> Any:
            return seen[kind]["diamond"]["certificate"]

        assert seen["price_zero"]["price"] == listed["price_zero"] == 0
        assert seen["price_times_10"]["price"] == 10 * listed["price_times_10"]
        assert seen["price_times_100"]["price"] == 100 * listed["price_times_100"]
        assert certificate("carats_zero")["carats"] == 0
        assert certificate("carats_thousands")["carats"] >= 1_000
        assert certificate("shape_empty")["shape"] == ""
        assert certificate("shape_blank")["shape"].strip() == ""
        assert seen["availability_odd"]["diamond"]["availability"] in {
            "CONSIGNMENT", "ON_MEMO", "NOT_AVAILABLE", "SOLD_OUT",
        }  # fmt: skip
        assert certificate("girdle_null_text")["girdle"] == "null"
        assert certificate("measures_zero")["length"] == "0"
        assert certificate("measures_long")["length"] == "7.200000"
        assert seen["eye_clean_percent"]["diamond"]["eyeClean"] == "100%"
        assert len(certificate("comments_huge")["comments"]) > 100_000
        assert {"\n", "\t", '"', "\\", "\U0001f48e"} <= set(certificate("comments_unicode")["comments"])
        assert certificate("comments_nul")["comments"] == "before\0after"
        assert certificate("labgrown_null")["labgrown"] is None
        assert certificate("labgrown_null")["labgrown_type"] is not None
        assert (
            certificate("fancy_without_color")["color"],
            certificate("fancy_without_color")["f_color"],
        ) == (
            "FANCY",
            None,
        )
        assert certificate("white_with_fancy_color")["f_color"] == "EVEN"
        assert certificate("clarity_null")["clarity"] is None


async def test_failed_fields_are_told_in_errors_with_their_paths() -> None:
    async with supplier(stones=4_000, hostile_share=0.5) as client:
        _, nulls, errors = await _both_with_nulls(client)
        present = client.sim.stats()["hostile_present"]

        assert len(errors) == nulls + present["clarity_unserialisable"]
        paths = Counter(error["path"][-1] for error in errors)
        assert paths["clarity"] == present["clarity_unserialisable"]
        assert paths["certificate"] == present["certificate_null"]
        assert paths["carats"] == present["carats_null"]
        for error in errors:
            assert error["path"][:2] == ["diamonds_by_query", "items"]
            assert isinstance(error["path"][2], int)


async def test_null_items_can_come_without_errors() -> None:
    async with supplier(stones=2_000, hostile_share=0.5, null_item_errors=False) as client:
        _, nulls, errors = await _both_with_nulls(client)

        assert nulls > 0
        assert errors == []


async def test_a_failing_field_harms_only_those_who_ask_for_it() -> None:
    async with supplier(stones=2_000, hostile_share=0.5) as client:
        items = await client.both(fields="id")

        assert None not in items
        assert len({item["id"] for item in items}) == 2_000


async def test_an_unreadable_stone_asked_by_id_is_an_error_and_no_data() -> None:
    query = "query($id: ID!) { get_diamond_by_id(diamond_id: $id) { id d: diamond { c: certificate { w: carats } } } }"
    async with supplier(stones=2_000, hostile_share=0.5) as client:
        broken = next(truth for truth in client.sim.truth() if truth.hostile == "carats_null")
        _, answer = await client.post(query, {"id": broken.id})

        assert answer["data"] is None
        assert answer["errors"][0]["path"] == ["get_diamond_by_id", "d", "c", "w"]


async def test_wrong_types_stay_behind_their_setting() -> None:
    async with supplier(stones=4_000, hostile_share=0.6, wrong_types=True, lone_surrogates=True) as client:
        truths = {truth.hostile: truth for truth in client.sim.truth()}
        assert set(truths) - {None} == {kind.name for kind in KINDS}
        query = "query($id: ID!) { get_diamond_by_id(diamond_id: $id) { price diamond { certificate { length } } } }"

        async def asked(kind: str) -> Any:
            return (await client.data(query, {"id": truths[kind].id}))["get_diamond_by_id"]

        assert (await asked("number_for_string"))["diamond"]["certificate"]["length"] == 7.12
        assert (await asked("price_text"))["price"] == str(truths["price_text"].listed_price_cents)
        assert (await asked("price_fraction"))["price"] % 1 == 0.5


async def test_one_certificate_may_be_offered_twice() -> None:
    fields = "id diamond { id supplier { id } certificate { id certNumber carats shape diamonds { id availability } } }"
    async with supplier(stones=4_000, hostile_share=0.5) as client:
        twin = next(truth for truth in client.sim.truth() if truth.hostile == "duplicate_certificate")
        offers, _ = await client.page({"certificate_numbers": [twin.certificate_number]}, fields=fields)

        assert len(offers) == 2
        certificates = [offer["diamond"]["certificate"] for offer in offers]
        assert certificates[0] == certificates[1]
        assert {stone["id"] for stone in certificates[0]["diamonds"]} == {
            offer["diamond"]["id"] for offer in offers
        }


def test_the_table_gives_every_kind_a_verdict_and_a_reason() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert all(kind.reason for kind in KINDS)
    assert {kind.verdict for kind in KINDS} == {"accepted", "rejected", "unreadable", "either"}
