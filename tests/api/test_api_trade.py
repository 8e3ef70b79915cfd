"""The routes of trade: who may call them, what they show, and that the supplier's own counter is open to few."""

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from diamond_opus.api import schemas_trade
from diamond_opus.api.schemas import Answer
from trade_market import Client, Market

STONE = str(UUID(int=7))


@pytest.fixture
async def admin(market: Market) -> Client:
    return await market.client("admin")


def names(model: type[Answer], *, cost: bool) -> set[str]:
    fields = model.model_fields.values()
    return {str(field.alias) for field in fields if cost or field.is_required()}


@pytest.mark.parametrize(
    ("method", "path", "permission", "too_little"),
    [
        ("POST", f"/diamonds/{STONE}/hold", "trade", ["read", "cost"]),
        ("DELETE", f"/diamonds/{STONE}/hold", "trade", ["read", "cost"]),
        ("POST", f"/diamonds/{STONE}/purchase", "trade", ["read", "cost"]),
        ("POST", f"/diamonds/{STONE}/availability", "trade", ["read", "cost"]),
        ("GET", "/orders", "trade", ["read", "cost"]),
        ("GET", f"/orders/{STONE}", "trade", ["read", "cost"]),
        ("GET", "/analytics/orders", "admin", ["read", "cost", "trade"]),
        ("GET", "/analytics/holds", "admin", ["read", "cost", "trade"]),
        ("POST", "/triggers/resolve-order", "admin", ["read", "cost", "trade"]),
        ("POST", "/nivoda/search", "cost", ["read", "trade"]),
        ("POST", "/nivoda/count", "cost", ["read", "trade"]),
        ("GET", f"/nivoda/diamond/DIAMOND%2F{STONE}", "cost", ["read", "trade"]),
        ("POST", "/nivoda/hold", "admin", ["read", "cost", "trade"]),
        ("POST", "/nivoda/cancel-hold", "admin", ["read", "cost", "trade"]),
        ("POST", "/nivoda/order", "admin", ["read", "cost", "trade"]),
    ],
)
async def test_each_route_needs_its_permission(
    market: Market, method: str, path: str, permission: str, too_little: list[str]
) -> None:
    client = await market.client(*too_little)

    answer = await market.api.client.request(method, f"/api/v2{path}", headers=client.headers, json={})

    assert answer.status_code == 403, answer.text
    assert answer.json()["error"]["details"] == {"permission": permission}


async def test_what_is_shown_is_what_is_documented(market: Market, shop: Client, admin: Client) -> None:
    stone, other = await market.stone(), await market.stone()
    hold = (await shop.hold(stone)).json()["data"]
    order = (await shop.buy(stone)).json()["data"]
    costly = (await admin.buy(other)).json()["data"]
    availability = (await shop.post(f"/diamonds/{stone}/availability")).json()["data"]
    shown: list[tuple[dict[str, Any], type[Answer], bool]] = [
        (hold, schemas_trade.Hold, False),
        (order, schemas_trade.Order, False),
        (costly, schemas_trade.Order, True),
        (availability, schemas_trade.StoneAvailability, False),
        ((await shop.get("/orders")).json()["data"][0], schemas_trade.OrderNow, False),
        ((await admin.get("/orders")).json()["data"][0], schemas_trade.OrderNow, True),
        ((await admin.get("/analytics/orders")).json()["data"][0], schemas_trade.OrderOfClient, True),
        ((await admin.get("/analytics/holds")).json()["data"][0], schemas_trade.HoldOfClient, True),
    ]

    for answer, model, cost in shown:
        assert set(answer) == names(model, cost=cost), model.__name__
        model.model_validate(answer)


async def test_a_stone_tells_its_own_client_of_its_hold_and_nobody_else(
    market: Market, shop: Client, admin: Client
) -> None:
    stone = await market.stone()
    before = await shop.get(f"/diamonds/{stone}")
    assert before.json()["data"]["yourHold"] is None
    hold = (await shop.hold(stone)).json()["data"]

    held = (await shop.get(f"/diamonds/{stone}")).json()["data"]

    assert held["availability"] == "on_hold"
    assert held["yourHold"] == {"id": hold["id"], "status": "active", "until": hold["until"]}
    reader = await market.client("read")
    for other in (await market.client(), admin, reader):
        assert (await other.get(f"/diamonds/{stone}")).json()["data"]["yourHold"] is None
    assert (await shop.buy(stone)).status_code == 201
    assert (await shop.get(f"/diamonds/{stone}")).json()["data"]["yourHold"] is None


async def test_an_answer_before_a_hold_is_not_taken_for_the_one_after(market: Market, shop: Client) -> None:
    stone = await market.stone()
    etag = (await shop.get(f"/diamonds/{stone}")).headers.get("etag")
    await shop.hold(stone)

    again = Client(shop.api, {**shop.headers, "If-None-Match": etag or "*"})

    assert (await again.get(f"/diamonds/{stone}")).json()["data"]["yourHold"]["status"] == "active"


async def test_operators_are_told_the_names_of_clients(market: Market, shop: Client, admin: Client) -> None:
    await shop.hold(await market.stone())
    order = (await shop.buy(await market.stone())).json()["data"]

    for path in ("/analytics/holds", "/analytics/orders"):
        assert (await admin.get(path)).json()["data"][0]["clientName"] == "shop"
    body = {"orderId": order["id"], "outcome": "confirmed", "note": "they called"}
    assert (await admin.post("/triggers/resolve-order", body)).json()["data"]["clientName"] == "shop"


async def test_operators_see_what_waits_for_them_first(market: Market, shop: Client, admin: Client) -> None:
    market.befall("answer_lost", "create_order", limit=1)
    lost = (await shop.buy(await market.stone(), "lost")).json()["data"]["id"]
    await shop.buy(await market.stone(), "fine")

    listed = (await admin.get("/analytics/orders")).json()["data"]
    assert [(order["status"], order["client"][:4]) for order in listed] == [
        ("unknown", "key:"),
        ("ordered", "key:"),
    ]
    assert listed[0]["id"] == lost
    attention = (await admin.get("/analytics/summary")).json()["data"]["needsAttention"]
    assert (attention["unknownOrders"], attention["unknownHolds"]) == (1, 0)
    only = (await admin.get(f"/analytics/orders?status=unknown,failed&client={listed[0]['client']}")).json()
    assert only["pagination"]["total"] == 1
    assert (await admin.get("/analytics/holds?status=gone")).status_code == 400
    assert (await admin.get("/analytics/orders?limit=1&page=2")).json()["data"][0]["status"] == "ordered"


@pytest.mark.parametrize(
    ("outcome", "availability", "status"),
    [("ordered", "sold", 201), ("confirmed", "sold", 201), ("refused", "available", 409)],
)
async def test_a_person_settles_an_unknown_order_and_it_is_audited(
    market: Market, shop: Client, admin: Client, outcome: str, availability: str, status: int
) -> None:
    stone = await market.stone()
    market.befall("reset", "create_order", limit=1)
    order_id = (await shop.buy(stone)).json()["data"]["id"]
    body = {"orderId": order_id, "outcome": outcome, "feedOrderId": "N-1", "note": "asked by phone"}

    answer = await admin.post("/triggers/resolve-order", body)

    assert answer.status_code == 200, answer.text
    told = answer.json()["data"]
    assert (told["status"], told["resolvedHow"], told["feedOrderId"]) == (outcome, "person", "N-1")
    assert await market.availability(stone) == availability
    [act] = await market.rows("SELECT * FROM audit_log WHERE action = 'order.resolve'")
    assert act["subject"] == order_id
    assert act["actor"] == told["resolvedBy"]
    assert act["details"] == {"from": "unknown", "to": outcome, "note": "asked by phone"}
    first = await shop.buy(stone)
    assert first.status_code == status
    assert (await shop.buy(stone)).content == first.content
    again = await admin.post("/triggers/resolve-order", body)
    assert again.status_code == 409


async def test_resolving_an_order_that_is_not_there_or_not_understood(admin: Client) -> None:
    body = {"orderId": str(uuid4()), "outcome": "refused", "note": "x"}

    assert (await admin.post("/triggers/resolve-order", body)).json()["error"]["code"] == "NOT_FOUND"
    for wrong in ({"outcome": "unknown"}, {"note": ""}, {"why": "x"}, {"orderId": "1"}):
        refused = await admin.post("/triggers/resolve-order", {**body, **wrong})
        assert refused.json()["error"]["code"] == "VALIDATION_ERROR", wrong


async def test_live_offers_are_searched_counted_and_shown(market: Market) -> None:
    buyer = await market.client("cost")
    body = {"priceMin": 0, "carat_max": 30, "labGrown": True, "limit": 5}

    count = (await buyer.post("/nivoda/count", {"labGrown": True})).json()["data"]["count"]
    page = (await buyer.post("/nivoda/search", body)).json()["data"]
    offer_id = page["items"][0]["offerId"]
    one = (await buyer.get(f"/nivoda/diamond/{quote(offer_id, safe='')}")).json()["data"]

    schemas_trade.OfferPage.model_validate(page)
    assert page["totalCount"] == count > 5
    assert (page["offset"], page["limit"], len(page["items"])) == (0, 5, 5)
    assert one == page["items"][0]
    truth = next(stone for stone in market.simulator.truth() if stone.offer_id == offer_id)
    assert one["priceCents"] == truth.price_cents
    rest = (await buyer.post("/nivoda/search", {**body, "offset": 5})).json()["data"]["items"]
    assert offer_id not in {item["offerId"] for item in rest}


@pytest.mark.parametrize(
    "body",
    [
        {"priceMin": 5, "priceMax": 4},
        {"caratMin": 2, "caratMax": 1},
        {"priceMin": -1},
        {"priceMin": 1.5},
        {"limit": 51},
        {"colour": "D"},
        {"shapes": "ROUND"},
    ],
)
async def test_a_search_of_live_offers_that_is_not_understood_is_refused(
    market: Market, body: dict[str, Any]
) -> None:
    buyer = await market.client("cost")

    assert (await buyer.post("/nivoda/search", body)).json()["error"]["code"] == "VALIDATION_ERROR"


async def test_an_offer_that_is_not_there_is_not_found(market: Market, admin: Client) -> None:
    for offer in (f"DIAMOND/{uuid4()}", "DIAMOND/1", "nothing"):
        answer = await admin.get(f"/nivoda/diamond/{quote(offer, safe='')}")
        assert answer.json()["error"]["code"] == "NOT_FOUND", offer
    assert (await admin.post("/nivoda/hold", {"offerId": "nothing"})).status_code == 400
    gone = await admin.post("/nivoda/order", {"offerId": f"DIAMOND/{uuid4()}"}, key="k")
    assert (gone.status_code, gone.json()["error"]["code"]) == (409, "CONFLICT")
    assert (await admin.post("/nivoda/cancel-hold", {"holdId": str(uuid4())})).status_code == 404


async def test_an_offer_outside_the_catalogue_is_ordered_and_held_through_the_same_books(
    market: Market, admin: Client
) -> None:
    stone, other = await market.stone(), await market.stone()
    offers = [(await market.diamond(each))["offer_id"] for each in (stone, other)]
    await market.rows("DELETE FROM diamonds")

    order = await admin.post("/nivoda/order", {"offerId": offers[0], "reference": "PO-9"}, key="k")
    hold = await admin.post("/nivoda/hold", {"offerId": offers[1]})

    assert (order.status_code, hold.status_code) == (201, 201)
    assert order.json()["data"]["diamondId"] is None
    assert order.json()["data"]["feedOrderId"] == market.orders[0].id
    assert (await admin.post("/nivoda/order", {"offerId": offers[0]}, key="k2")).status_code == 409
    assert (await admin.post("/nivoda/hold", {"offerId": offers[1]})).status_code == 409
    released = await admin.post("/nivoda/cancel-hold", {"holdId": hold.json()["data"]["id"]})
    assert released.json()["data"]["status"] == "released"


async def test_a_supplier_that_is_away_is_a_503_that_tells_nothing(market: Market, admin: Client) -> None:
    market.befall("unavailable", "page", "count", "by_id")

    for answer in (
        await admin.post("/nivoda/count", {}),
        await admin.post("/nivoda/search", {}),
        await admin.get(f"/nivoda/diamond/DIAMOND%2F{uuid4()}"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert "nivoda:" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"destination": "x"},
        {"maxPriceCents": -1},
        {"maxPriceCents": "100"},
        {"maxPriceCents": 1.5},
        {"returnOption": "yes"},
        {"reference": "x" * 201},
        {"reference": ""},
        {"comments": "a\u0000b"},
        {"comments": "\ud800"},
        [],
    ],
)
async def test_a_purchase_that_is_not_understood_is_refused_before_anything_happens(
    market: Market, shop: Client, body: Any
) -> None:
    answer = await shop.post(f"/diamonds/{await market.stone()}/purchase", body, key="k")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert await market.rows("SELECT FROM purchase_history") == []


async def test_an_unknown_stone_and_a_wrong_id_are_told_apart(shop: Client) -> None:
    for path in ("hold", "purchase", "availability"):
        unknown = await shop.post(f"/diamonds/{uuid4()}/{path}", {} if path == "purchase" else None, key="k")
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "DIAMOND_NOT_FOUND"), path
        wrong = await shop.post(f"/diamonds/1/{path}", key="k")
        assert wrong.json()["error"]["code"] == "VALIDATION_ERROR"
        assert (await shop.post(f"/diamonds/{uuid4()}/{path}?dry=1", key="k")).status_code == 400
