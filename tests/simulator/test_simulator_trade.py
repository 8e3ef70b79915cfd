"""Holds, orders and requests at the simulated supplier."""

from typing import Any

import aiohttp
import pytest
from supplier_client import Client, supplier

HOLD = """mutation($id: ID!) { create_hold(ProductId: $id, ProductType: Diamond, requested_info: [MEDIA]) {
    id denied until ProductType diamond { id HoldId availability } } }"""
CANCEL = "mutation($id: ID!) { cancel_hold(hold_id: $id) { id denied diamond { HoldId availability } } }"
ORDER = "mutation($items: [OrderItemInput!]!) { create_order(items: $items) }"
STONE = (
    "query($id: ID!) { get_diamond_by_id(diamond_id: $id) { diamond { availability HoldId OrderItemId } } }"
)

LOCATION = {"name": "n", "address1": "a", "postalCode": "1", "city": "c", "country": "US", "state": "NY"}


async def _available(client: Client, number: int = 1) -> list[str]:
    items, _ = await client.page({"availability": ["AVAILABLE"]}, limit=number, fields="diamond { id }")
    return [item["diamond"]["id"] for item in items]


async def _stone(client: Client, stone_id: str) -> dict[str, Any]:
    stone: dict[str, Any] = (await client.data(STONE, {"id": stone_id}))["get_diamond_by_id"]["diamond"]
    return stone


async def test_a_hold_marks_the_stone_for_a_day() -> None:
    async with supplier() as client:
        [stone_id] = await _available(client)
        hold = (await client.data(HOLD, {"id": stone_id}))["create_hold"]

        assert hold["denied"] is False
        assert hold["until"] == pytest.approx(client.sim.supplier.clock.now_ms() + 86_400_000, abs=60_000)
        assert hold["diamond"] == {"id": stone_id, "HoldId": hold["id"], "availability": "HOLD"}
        assert await client.count(availability=["AVAILABLE"], filter_ids=[stone_id]) == 0

        client.sim.advance(86_401)
        await client.log_in()
        assert await _stone(client, stone_id) == {
            "availability": "AVAILABLE",
            "HoldId": None,
            "OrderItemId": None,
        }


async def test_a_cancelled_hold_gives_the_stone_free() -> None:
    async with supplier() as client:
        [stone_id] = await _available(client)
        hold_id = (await client.data(HOLD, {"id": stone_id}))["create_hold"]["id"]

        cancelled = (await client.data(CANCEL, {"id": hold_id}))["cancel_hold"]
        assert cancelled == {
            "id": hold_id,
            "denied": False,
            "diamond": {"HoldId": None, "availability": "AVAILABLE"},
        }
        assert "cancelled" in await client.problem(CANCEL, {"id": hold_id})
        assert await client.problem(CANCEL, {"id": "nobody's"}) == "Hold not found"


async def test_a_hold_takes_the_bare_stone_id_and_an_order_the_offer_id() -> None:
    async with supplier() as client:
        [stone_id] = await _available(client)

        assert await client.problem(HOLD, {"id": f"DIAMOND/{stone_id}"}) == "Diamond not found"
        assert "not found" in await client.problem(ORDER, {"items": [{"offerId": stone_id}]})


async def test_a_stone_on_hold_cannot_be_held_again() -> None:
    async with supplier() as client:
        [stone_id] = await _available(client)
        await client.data(HOLD, {"id": stone_id})

        assert "not available" in await client.problem(HOLD, {"id": stone_id})


async def test_a_hold_may_be_refused_by_the_vendor() -> None:
    async with supplier() as client:
        [stone_id] = await _available(client)
        await client.control("faults", faults=[{"kind": "hold_refused", "requests": ["create_hold"]}])
        hold = (await client.data(HOLD, {"id": stone_id}))["create_hold"]

        assert (hold["denied"], hold["until"]) == (True, None)
        assert (await _stone(client, stone_id))["availability"] == "AVAILABLE"


async def test_an_order_is_an_id_and_leaves_its_mark_on_the_stone() -> None:
    async with supplier() as client:
        stone_id, other = await _available(client, 2)
        await client.data(HOLD, {"id": stone_id})
        order_id = (await client.data(ORDER, {"items": [{"offerId": f"DIAMOND/{stone_id}"}]}))["create_order"]
        assert isinstance(order_id, str)
        stone = await _stone(client, stone_id)
        assert (stone["availability"], stone["HoldId"]) == ("ON_HOLD", None)
        assert stone["OrderItemId"]

        again = {"items": [{"offerId": f"DIAMOND/{other}"}, {"offerId": f"DIAMOND/{stone_id}"}]}
        assert "not available" in await client.problem(ORDER, again)
        assert (await _stone(client, other))["OrderItemId"] is None


@pytest.mark.parametrize(("confirm", "availability"), [(True, "SOLD"), (False, "AVAILABLE")])
async def test_an_order_is_confirmed_or_refused_later(*, confirm: bool, availability: str) -> None:
    async with supplier() as client:
        [stone_id] = await _available(client)
        order_id = (await client.data(ORDER, {"items": [{"offerId": f"DIAMOND/{stone_id}"}]}))["create_order"]

        await client.control("decide", order_id=order_id, confirm=confirm)

        stone = await _stone(client, stone_id)
        assert stone["availability"] == availability
        assert (stone["OrderItemId"] is not None) is confirm


async def test_an_order_nobody_refuses_is_confirmed_within_a_day() -> None:
    async with supplier(token_lifetime_seconds=200_000) as client:
        [stone_id] = await _available(client)
        await client.data(ORDER, {"items": [{"offerId": f"DIAMOND/{stone_id}"}]})
        client.sim.advance(86_401)

        assert (await _stone(client, stone_id))["availability"] == "SOLD"


async def test_the_return_option_is_dropped_silently_where_there_is_none() -> None:
    async with supplier() as client:
        items, _ = await client.page({"availability": ["AVAILABLE"]}, fields="id diamond { return_window }")
        kept = next(item for item in items if item["diamond"]["return_window"])
        lost = next(item for item in items if not item["diamond"]["return_window"])
        order = [{"offerId": item["id"], "return_option": True} for item in (kept, lost)]
        await client.data(ORDER, {"items": order})

        [booked] = client.sim.supplier.trade.book.orders.values()
        assert [item.details["return_option"] for item in booked.items] == [True, False]


async def test_an_order_whose_answer_is_lost_was_accepted_all_the_same() -> None:
    async with supplier() as client:
        [stone_id] = await _available(client)
        await client.control(
            "faults", faults=[{"kind": "answer_lost", "requests": ["create_order"], "limit": 1}]
        )

        with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
            await client.post(ORDER, {"items": [{"offerId": f"DIAMOND/{stone_id}"}]})

        assert (await _stone(client, stone_id))["OrderItemId"]
        async with client.http.get(client.sim.control_url + "trade") as response:
            book = await response.json()
        [order] = book["orders"].values()
        assert order["items"][0]["offer_id"] == f"DIAMOND/{stone_id}"


async def test_there_is_no_idempotency_key() -> None:
    async with supplier() as client:
        first, second = await _available(client, 2)
        ids = {
            (await client.data(ORDER, {"items": [{"offerId": f"DIAMOND/{each}"}]}))["create_order"]
            for each in (first, second)
        }

        assert len(ids) == 2


async def test_churn_leaves_traded_stones_alone() -> None:
    async with supplier(stones=60) as client:
        stones = await _available(client, 5)
        for stone_id in stones:
            await client.data(HOLD, {"id": stone_id})
        await client.control("churn", events=400)

        for stone_id in stones:
            assert (await _stone(client, stone_id))["HoldId"]


async def test_requests_and_locations_are_written_down() -> None:
    async with supplier() as client:
        data = await client.data(
            """mutation($location: LocationInput!) {
              a: create_request(certificate_number: "123", comment: "please", hold: 24)
              b: create_concierge_order_request(certificate_type: NaturalCertificate, type: ADD, shape: "round")
                { id status shape type }
              c: create_location(location: $location) { id name city }
            }""",
            {"location": LOCATION},
        )

        assert isinstance(data["a"], str)
        assert (data["b"]["status"], data["b"]["shape"], data["b"]["type"]) == ("PENDING", "round", "ADD")
        book = client.sim.supplier.trade.book
        assert [request["id"] for request in book.requests] == [data["a"], data["b"]["id"]]
        moved = await client.data(
            """mutation($id: ID!, $location: LocationInput) {
              update_location(id: $id, location: $location) { name city }
              delete_location(id: $id)
              again: delete_location(id: $id)
            }""",
            {"id": data["c"]["id"], "location": {**LOCATION, "name": "m"}},
        )
        assert moved == {
            "update_location": {"name": "m", "city": "c"},
            "delete_location": True,
            "again": False,
        }


async def test_an_order_and_the_end_of_a_hold_may_be_refused() -> None:
    async with supplier() as client:
        stone_id, other = await _available(client, 2)
        hold_id = (await client.data(HOLD, {"id": other}))["create_hold"]["id"]
        refusals = [
            {"kind": "order_refused", "requests": ["create_order"], "limit": 1},
            {"kind": "cancel_refused", "requests": ["cancel_hold"], "limit": 1},
        ]
        await client.control("faults", faults=refusals)

        order = {"items": [{"offerId": f"DIAMOND/{stone_id}"}]}
        assert "does not sell" in await client.problem(ORDER, order)
        assert "cannot be cancelled" in await client.problem(CANCEL, {"id": hold_id})
        assert (await _stone(client, stone_id))["availability"] == "AVAILABLE"
        assert (await _stone(client, other))["HoldId"] == hold_id


async def test_a_server_that_fails_after_it_did_the_work_says_so() -> None:
    async with supplier() as client:
        [stone_id] = await _available(client)
        await client.control("faults", faults=[{"kind": "failed_after", "requests": ["create_order"]}])

        problem = await client.problem(ORDER, {"items": [{"offerId": f"DIAMOND/{stone_id}"}]})

        assert problem == "Internal server error"
        assert (await _stone(client, stone_id))["OrderItemId"]


async def test_a_vendor_may_end_a_hold_before_its_time() -> None:
    async with supplier() as client:
        [stone_id] = await _available(client)
        hold_id = (await client.data(HOLD, {"id": stone_id}))["create_hold"]["id"]

        assert (await client.control("end-hold", hold_id=hold_id))["state"] == "cancelled"

        stone = await _stone(client, stone_id)
        assert (stone["availability"], stone["HoldId"]) == ("AVAILABLE", None)
