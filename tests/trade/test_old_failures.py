"""What went wrong in the system before this one, B10 to B14, and must be impossible here."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from api_support import SECRET

from diamond_opus.keys.signatures import HmacClient
from diamond_opus.trade import orders
from pipeline_builders import Pool
from trade_market import Client, Market, answered_late, open_market


async def test_b10_a_hold_is_written_down_before_the_supplier_is_asked(market: Market, shop: Client) -> None:
    stone = await market.stone()
    with answered_late("create_hold") as answer:
        asking = asyncio.create_task(shop.hold(stone))
        await answer.is_given.wait()
        row = await market.row("SELECT * FROM hold_history")
        seen = await market.availability(stone)
        answer.may_arrive.set()
        told = await asking

    assert row["status"] == "sending"
    assert row["sent_at"] is not None
    assert seen == "on_hold", "nobody else is offered the stone meanwhile"
    assert told.status_code == 201
    assert market.holds[0].stone_id == await market.supplier_id(stone), "not the offer id"


async def test_b10_a_hold_whose_process_died_is_found_and_not_lost(market: Market, shop: Client) -> None:
    stone = await market.stone()
    await shop.hold(stone)
    await market.rows(
        "ALTER TABLE hold_history DISABLE TRIGGER hold_transition;"
        " UPDATE hold_history SET status = 'sending', feed_hold_id = NULL, hold_until = NULL,"
        " lease_expires_at = now() - interval '1 second';"
        " ALTER TABLE hold_history ENABLE TRIGGER hold_transition"
    )

    await market.watch()

    row = await market.row("SELECT status, feed_hold_id FROM hold_history")
    assert row == {"status": "active", "feed_hold_id": market.holds[0].id}
    assert market.alerts.events == ["hold_unknown"]


async def test_b11_an_administrator_s_order_is_bound_to_its_key_too(market: Market) -> None:
    admin, stone = await market.client("admin"), await market.stone()
    offer = (await market.diamond(stone))["offer_id"]

    without = await admin.post("/nivoda/order", {"offerId": offer})
    first = await admin.post("/nivoda/order", {"offerId": offer}, key="k")
    again = await admin.post("/nivoda/order", {"offerId": offer}, key="k")
    at_the_shop_s_door = await admin.buy(stone, "k")

    assert without.status_code == 400
    assert first.status_code == 201
    assert first.content == again.content == at_the_shop_s_door.content
    assert len(market.orders) == 1


async def test_b11_the_end_of_a_hold_reaches_the_supplier(market: Market) -> None:
    admin, stone = await market.client("admin"), await market.stone()
    offer = (await market.diamond(stone))["offer_id"]
    held = (await admin.post("/nivoda/hold", {"offerId": offer})).json()["data"]

    ended = await admin.post("/nivoda/cancel-hold", {"holdId": held["id"]})

    assert (ended.status_code, ended.json()["data"]["status"]) == (200, "released")
    assert market.holds[0].state == "cancelled"
    again = (await admin.post("/nivoda/hold", {"offerId": offer})).json()["data"]
    assert (await admin.post("/nivoda/cancel-hold", {"holdId": again["feedHoldId"]})).status_code == 200


async def test_b12_a_stone_that_is_refused_is_not_held_all_the_same(market: Market, shop: Client) -> None:
    stone = await market.stone()
    await market.rows("UPDATE diamonds SET feed_availability = 'unavailable' WHERE id = %s", stone)

    assert (await shop.hold(stone)).status_code == 409
    assert not market.holds
    assert await market.rows("SELECT FROM hold_history") == []


async def test_b12_the_stone_is_the_one_of_the_path_whatever_the_destination_is_called(
    market: Market, shop: Client
) -> None:
    stone, other = await market.stone(), await market.stone()

    await shop.buy(stone, destinationId=str(other))

    assert market.orders[0].items[0].offer_id == (await market.diamond(stone))["offer_id"]


async def test_b13_a_database_error_after_the_supplier_s_yes_loses_no_order(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    await market.rows(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''disk full''; END';"
        "CREATE TRIGGER fail BEFORE UPDATE ON purchase_history FOR EACH ROW"
        " WHEN (NEW.status = 'ordered') EXECUTE FUNCTION fail()"
    )

    answer = await shop.buy(stone)
    await market.rows("DROP TRIGGER fail ON purchase_history")

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "unknown")
    assert "disk full" not in answer.text
    assert (await shop.buy(stone)).status_code == 409, "the intent is there and blocks"
    await market.let_pass(timedelta(minutes=1))
    await market.watch()
    assert (await shop.buy(stone)).json()["data"]["status"] == "ordered"
    assert len(market.orders) == 1


async def test_b13_an_order_whose_process_stood_still_before_it_left_is_not_sent(
    market: Market, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may have counted it as lost by then, seen the stone free and sold it again."""
    stone = await market.stone()
    mark_sent = orders.mark_sent

    async def stand_still(*given: Any, **named: Any) -> Any:
        loop = asyncio.get_running_loop()
        order = await mark_sent(*given, **named)
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + 3600)
        return order

    with monkeypatch.context() as patched:
        patched.setattr(orders, "mark_sent", stand_still)
        answer = await shop.buy(stone)
    monkeypatch.undo()

    assert answer.status_code == 503
    assert market.orders == []
    assert (await shop.buy(stone)).json()["data"]["status"] == "ordered", "the same key may be sent again"
    assert len(market.orders) == 1


async def test_b13_two_buyers_never_get_one_stone(market: Market) -> None:
    stone = await market.stone()
    buyers = [await market.client("trade") for _ in range(2)]

    answers = await asyncio.gather(*(buyer.buy(stone) for buyer in buyers))

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert len(market.orders) == 1


async def test_b13_a_late_word_never_overwrites_a_settled_order(market: Market, shop: Client) -> None:
    stone, admin = await market.stone(), await market.client("admin")
    order_id = (await shop.buy(stone)).json()["data"]["id"]
    market.simulator.supplier.trade.decide(market.orders[0].id, confirm=True)
    await market.watch()

    late = {"orderId": order_id, "outcome": "refused", "note": "an old message"}
    answer = await admin.post("/triggers/resolve-order", late)

    assert answer.status_code == 409
    assert (await shop.get(f"/orders/{order_id}")).json()["data"]["status"] == "confirmed"


async def test_b14_every_trade_makes_caches_ask_again(market: Market, shop: Client) -> None:
    stone = await market.stone()
    etag = (await shop.get(f"/diamonds/{stone}")).headers["etag"]

    for act in (shop.hold(stone), shop.delete(f"/diamonds/{stone}/hold"), shop.buy(stone)):
        await act
        fresh = await shop.api.client.get(
            f"/api/v2/diamonds/{stone}", headers=shop.headers | {"If-None-Match": etag}
        )
        assert fresh.status_code == 200
        etag = fresh.headers["etag"]


async def test_b14_a_search_shows_a_trade_at_once(market: Market, shop: Client) -> None:
    stone = await market.stone()

    async def seen(availability: str) -> set[str]:
        found = await shop.get(f"/diamonds?availability={availability}&limit=100")
        return {each["id"] for each in found.json()["data"]}

    assert str(stone) in await seen("available")
    await shop.hold(stone)
    assert str(stone) not in await seen("available")
    assert str(stone) in await seen("on_hold")
    await shop.buy(stone)
    assert str(stone) in await seen("sold")


async def test_a_stored_answer_is_told_without_cost_to_who_lost_the_permission(market: Market) -> None:
    stone, admin = await market.stone(), await market.client("admin")
    first = (await admin.buy(stone)).json()["data"]
    await market.rows("UPDATE api_keys SET permissions = '{trade}'")
    market.api.clock.advance(seconds=5)  # keys are remembered for four

    again = (await admin.buy(stone)).json()["data"]

    assert set(first) - set(again) == {"feedOrderId", "offerId", "feedPriceCents"}
    assert again == {name: value for name, value in first.items() if name in again}


@pytest.mark.parametrize("stored", [False, True])
async def test_a_repeated_signature_is_told_an_answer_and_does_nothing(
    pool: Pool, database_url: str, stored: bool
) -> None:
    clients = {"shop": HmacClient("shop", SECRET)}
    async with open_market(pool, database_url, hmac_clients=clients) as market:
        stone, other = await market.stone(), await market.client("trade")
        if not stored:
            await other.hold(stone)
        target, body = f"/api/v2/diamonds/{stone}/purchase", b'{"idempotencyKey": "k"}'
        headers = {**market.api.signed("POST", target, body=body), "Content-Type": "application/json"}
        first = await market.api.client.post(target, content=body, headers=headers)
        await other.delete(f"/diamonds/{stone}/hold")

        again = await market.api.client.post(target, content=body, headers=headers)

        if stored:
            assert (first.status_code, again.status_code) == (201, 201)
            assert again.content == first.content
        else:
            assert (first.status_code, again.status_code) == (409, 401)
        assert len(market.orders) == stored
