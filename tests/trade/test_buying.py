"""Purchases: sent once, answered the same way for ever, and never a word of cost to who may not know it."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from trade_market import Client, Market, answered_late


async def test_a_purchase_is_one_order_by_offer_id_and_makes_the_stone_sold(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    version = await market.version()

    answer = await shop.buy(
        stone, destinationId="dest-123", reference="PO-12345", comments="Rush order", returnOption=False
    )

    assert answer.status_code == 201, answer.text
    told = answer.json()["data"]
    assert (told["status"], told["reference"], told["diamondId"]) == ("ordered", "PO-12345", str(stone))
    [order] = market.orders
    [item] = order.items
    assert item.offer_id == (await market.diamond(stone))["offer_id"]
    assert item.details["destinationId"] == "dest-123"
    assert item.details["customer_order_number"] == "PO-12345"
    assert item.details["customer_comment"] == "Rush order"
    assert await market.availability(stone) == "sold"
    assert stone in await market.changed_since(version)
    row = await market.row("SELECT * FROM purchase_history")
    assert (row["status"], row["feed_order_id"], str(row["id"])) == ("ordered", order.id, told["id"])
    assert row["feed_price"] == (await market.diamond(stone))["feed_price"]


async def test_the_same_key_gets_the_same_bytes_whatever_became_of_the_order(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    first = await shop.buy(stone, reference="PO-1")
    await market.rows("UPDATE purchase_history SET status = 'confirmed'")

    again = await shop.post(f"/diamonds/{stone}/purchase", {"idempotencyKey": "key-1", "reference": " PO-1 "})

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert len(market.orders) == 1


async def test_the_key_may_come_in_either_header_or_in_the_body_and_must_come(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    path = f"/diamonds/{stone}/purchase"
    for body in (None, {}, {"reference": "PO-1"}, {"idempotencyKey": "  "}):
        refused = await shop.post(path, body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
        assert refused.json()["error"]["details"][0]["parameter"] == "idempotencyKey"
    both = shop.headers | {"Idempotency-Key": "one", "X-Idempotency-Key": "another"}
    contradicting = await shop.api.client.post(f"/api/v2{path}", json={}, headers=both)
    assert contradicting.status_code == 400
    assert "which purchase is meant?" in contradicting.json()["error"]["details"][0]["message"]
    assert (await shop.post(path, key="k" * 201)).status_code == 400

    headers = shop.headers | {"X-Idempotency-Key": "mine"}
    answers = [
        await shop.api.client.post(f"/api/v2{path}", json={}, headers=headers),
        await shop.post(path, {"idempotency_key": "mine"}),
        await shop.post(path, {"idempotencyKey": "another: the header goes before it"}, key="mine"),
    ]

    assert len({answer.content for answer in answers}) == 1
    assert answers[0].status_code == 201
    assert len(market.orders) == 1


@pytest.mark.parametrize(
    "other",
    [{"reference": "PO-2"}, {"destinationId": "elsewhere"}, {"returnOption": True}, {"maxPriceCents": 1}],
)
async def test_the_same_key_with_another_body_is_a_conflict(
    market: Market, shop: Client, other: dict[str, Any]
) -> None:
    stone = await market.stone()
    await shop.buy(stone, reference="PO-1")

    answer = await shop.buy(stone, **{"reference": "PO-1", **other})

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")
    assert len(market.orders) == 1


async def test_the_same_key_for_another_stone_is_a_conflict_and_for_another_client_its_own(
    market: Market, shop: Client
) -> None:
    first, second = await market.stone(), await market.stone()
    other = await market.client("trade")
    assert (await shop.buy(first)).status_code == 201

    assert (await shop.buy(second)).status_code == 409
    assert (await other.buy(second)).status_code == 201
    assert len(market.orders) == 2


async def test_a_stone_that_was_ordered_cannot_be_ordered_or_held_again(market: Market, shop: Client) -> None:
    stone = await market.stone()
    await shop.buy(stone)

    assert (await shop.buy(stone, "key-2")).status_code == 409
    assert (await shop.hold(stone)).status_code == 409
    assert len(market.orders) == 1


async def test_whoever_holds_a_stone_may_buy_it_and_nobody_else(market: Market, shop: Client) -> None:
    stone = await market.stone()
    await shop.hold(stone)
    other = await market.client("trade")

    assert (await other.buy(stone)).status_code == 409
    assert (await shop.buy(stone)).status_code == 201
    assert market.holds[0].state == "ordered"
    assert (await market.row("SELECT status FROM hold_history"))["status"] == "released"
    assert await market.availability(stone) == "sold"


async def test_a_stone_that_the_supplier_has_no_more_or_sold_is_not_ordered(
    market: Market, shop: Client
) -> None:
    gone, sold = await market.stone(), await market.stone()
    inventory, now = market.simulator.supplier.inventory, market.simulator.supplier.clock.now_ms()
    rows = [inventory.row_of(await market.supplier_id(stone)) for stone in (gone, sold)]
    assert rows[0] is not None
    inventory.remove(rows[0], now)
    other = await market.client("cost", "trade")
    market.simulator.supplier.trade.create_order([{"offerId": (await market.diamond(sold))["offer_id"]}])

    assert (await shop.buy(gone, "a")).status_code == 409
    assert (await other.buy(sold, "b")).status_code == 409

    assert len(market.orders) == 1, "only the one that somebody else made"
    assert await market.availability(gone) == "unavailable", "what the supplier said was kept"
    assert await market.availability(sold) == "on_hold"


async def test_an_order_that_the_supplier_refuses_is_settled_and_frees_the_stone(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    market.befall("order_refused", "create_order", limit=1)

    refused = await shop.buy(stone)

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    assert "does not sell" not in refused.text, "the supplier's words may tell what they should not"
    assert await market.availability(stone) == "available"
    assert (await shop.buy(stone)).content == refused.content, "the key keeps its answer"
    assert (await shop.buy(stone, "key-2")).status_code == 201


@pytest.mark.parametrize(
    ("fault", "request_kind"),
    [("http_429", "create_order"), ("gateway_403", "create_order"), ("unavailable", "by_id")],
)
async def test_a_purchase_that_surely_was_not_done_may_be_sent_again_under_its_key(
    market: Market, shop: Client, fault: str, request_kind: str
) -> None:
    stone = await market.stone()
    market.befall(fault, request_kind)

    answer = await shop.buy(stone, reference="PO-1")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    assert await market.availability(stone) == "available"
    assert (await market.row("SELECT status FROM purchase_history"))["status"] == "failed"
    market.recover()
    assert (await shop.buy(stone, reference="PO-2")).status_code == 409, "the key stays bound to its body"
    assert (await shop.buy(stone, reference="PO-1")).status_code == 201
    assert len(market.orders) == 1


@pytest.mark.parametrize("fault", ["answer_lost", "failed_after", "truncated", "malformed_json"])
async def test_b11_an_order_whose_answer_was_lost_is_unknown_and_is_never_sent_again(
    market: Market, shop: Client, fault: str
) -> None:
    stone = await market.stone()
    market.befall(fault, "create_order")

    answer = await shop.buy(stone)

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "unknown")
    assert (await shop.buy(stone)).content == answer.content
    assert (await shop.buy(stone, "key-2")).status_code == 409, "a new key for the same stone is no way out"
    assert await market.availability(stone) == "on_hold"
    assert len(market.orders) == 1

    market.recover()
    await market.watch()

    assert market.alerts.events == ["order_unknown"]
    order_id = answer.json()["data"]["id"]
    assert order_id in market.alerts.raised[0].action
    now = (await shop.get(f"/orders/{order_id}")).json()["data"]
    assert now["status"] == "ordered"
    assert now["resolvedAt"] is not None
    settled = await shop.buy(stone)
    assert (settled.status_code, settled.json()["data"]["status"]) == (201, "ordered")
    assert await market.availability(stone) == "sold"
    assert len(market.orders) == 1
    await market.watch()
    assert market.alerts.events == ["order_unknown"], "reported once"


async def test_an_order_that_never_arrived_is_refused_when_the_stone_stays_free(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    market.befall("reset", "create_order")
    assert (await shop.buy(stone)).status_code == 202
    market.recover()

    await market.watch()
    assert (await market.row("SELECT status FROM purchase_history"))["status"] == "unknown"
    assert await market.availability(stone) == "on_hold"
    await market.let_pass(timedelta(minutes=3))
    await market.watch()

    row = await market.row("SELECT status, resolved_by, resolved_how FROM purchase_history")
    assert row == {"status": "refused", "resolved_by": "watch", "resolved_how": "evidence"}
    assert await market.availability(stone) == "available"
    assert (await shop.buy(stone)).status_code == 409
    assert (await shop.buy(stone, "key-2")).status_code == 201
    assert len(market.orders) == 1


async def test_evidence_that_proves_nothing_leaves_the_order_unknown(market: Market, shop: Client) -> None:
    stone = await market.stone()
    market.befall("reset", "create_order")
    await shop.buy(stone)
    market.recover()
    inventory = market.simulator.supplier.inventory
    row = inventory.row_of(await market.supplier_id(stone))
    assert row is not None
    inventory.remove(row, market.simulator.supplier.clock.now_ms())

    for _ in range(3):
        await market.watch()
        await market.let_pass(timedelta(minutes=3))

    assert (await market.row("SELECT status FROM purchase_history"))["status"] == "unknown"
    assert (await shop.buy(stone, "key-2")).status_code == 409


@pytest.mark.parametrize(
    ("confirm", "status", "availability"), [(True, "confirmed", "sold"), (False, "refused", "available")]
)
async def test_what_the_vendor_decides_later_is_followed(
    market: Market, shop: Client, *, confirm: bool, status: str, availability: str
) -> None:
    stone = await market.stone()
    order_id = (await shop.buy(stone)).json()["data"]["id"]
    market.simulator.supplier.trade.decide(market.orders[0].id, confirm=confirm)

    await market.watch()
    await market.let_pass(timedelta(minutes=16))
    await market.watch()

    assert (await shop.get(f"/orders/{order_id}")).json()["data"]["status"] == status
    assert await market.availability(stone) == availability


async def test_b14_a_sold_stone_stays_sold_when_the_feed_lists_it_as_available(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    await shop.buy(stone)
    market.simulator.supplier.trade.decide(market.orders[0].id, confirm=False)

    await market.consolidate()

    diamond = await market.diamond(stone)
    assert (diamond["feed_availability"], diamond["availability"]) == ("available", "sold")


async def test_a_process_that_stopped_before_it_sent_anything_frees_the_stone(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    await shop.buy(stone)
    await market.rows(
        "ALTER TABLE purchase_history DISABLE TRIGGER order_transition;"
        " UPDATE purchase_history SET status = 'sending', sent_at = NULL, answer_body = NULL;"
        " ALTER TABLE purchase_history ENABLE TRIGGER order_transition"
    )
    assert (await shop.buy(stone)).headers["retry-after"] == "2", "under way, as far as anybody knows"

    await market.let_pass(timedelta(minutes=1))
    await market.watch()

    assert (await market.row("SELECT status FROM purchase_history"))["status"] == "failed"
    assert await market.availability(stone) == "available"


async def test_a_key_without_cost_learns_no_cost_vendor_or_supplier_s_id_from_a_purchase(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    diamond = await market.diamond(stone)
    everything = (await shop.buy(stone, maxPriceCents=1)).text
    everything += (await shop.buy(stone, "key-2")).text
    everything += (await shop.get("/orders")).text
    everything += (await shop.post(f"/diamonds/{stone}/availability")).text

    secrets = (
        diamond["supplier_stone_id"],
        diamond["supplier_name"],
        str(int(diamond["feed_price"] * 100)),
        str(diamond["feed_price"]),
        market.orders[0].id,
    )
    for secret in secrets:
        assert secret not in everything


async def test_orders_belong_to_their_client_and_an_administrator_sees_all(
    market: Market, shop: Client
) -> None:
    other, admin = await market.client("trade"), await market.client("admin")
    first, second = await market.stone(), await market.stone()
    mine = (await shop.buy(first)).json()["data"]["id"]
    await other.buy(second)

    assert [order["id"] for order in (await shop.get("/orders")).json()["data"]] == [mine]
    assert (await other.get(f"/orders/{mine}")).status_code == 404
    assert (await admin.get(f"/orders/{mine}")).json()["data"]["feedOrderId"] == market.orders[0].id
    everybody = (await admin.get("/orders")).json()
    assert everybody["pagination"]["total"] == 2
    assert (await shop.get("/orders?state=x")).status_code == 400
    assert (await shop.get("/orders?status=unknown")).json()["data"] == []


async def test_a_stone_that_was_ordered_before_it_came_into_the_catalogue_is_not_for_sale(
    market: Market, shop: Client
) -> None:
    stone, admin = await market.stone(), await market.client("admin")
    await market.rows("UPDATE raw_diamonds SET consolidated = FALSE")
    offer = (await market.diamond(stone))["offer_id"]
    await market.rows("DELETE FROM diamonds WHERE id = %s", stone)
    assert (await admin.post("/nivoda/order", {"offerId": offer}, key="k")).status_code == 201
    market.simulator.supplier.trade.decide(market.orders[0].id, confirm=False)

    await market.consolidate()
    assert (await shop.buy(stone)).status_code == 409, "the books know, whatever the catalogue shows"
    await market.watch()

    assert await market.availability(stone) == "sold"


async def test_a_late_yes_after_a_person_said_no_is_reported(market: Market, shop: Client) -> None:
    stone, admin = await market.stone(), await market.client("admin")
    with answered_late("create_order") as answer:
        buying = asyncio.create_task(shop.buy(stone))
        await answer.is_given.wait()
        await market.let_pass(timedelta(minutes=1))
        await market.settle()
        word = {
            "orderId": str((await market.row("SELECT id FROM purchase_history"))["id"]),
            "outcome": "refused",
            "note": "too hasty",
        }
        assert (await admin.post("/triggers/resolve-order", word)).status_code == 200
        answer.may_arrive.set()

        assert (await buying).status_code == 409

    assert market.alerts.events[-1] == "order_contradicted"
    assert (await admin.get("/analytics/orders")).json()["data"][0]["status"] == "refused"
