"""What a person says of a stone stands beside the supplier's word, survives listings, and binds nobody's order."""

from datetime import timedelta

import pytest

from trade_market import Client, Market


@pytest.mark.parametrize("word", ["on_hold", "sold", "unavailable"])
async def test_a_person_s_word_stands_until_it_is_taken_back(market: Market, shop: Client, word: str) -> None:
    stone = await market.stone()
    version = await market.version()
    path = f"/diamonds/{stone}/availability"

    answer = await shop.post(path, {"availability": word})

    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["availability"] == word
    assert await market.availability(stone) == word
    assert stone in await market.changed_since(version)
    await market.consolidate()
    assert await market.availability(stone) == word
    assert (await market.diamond(stone))["feed_availability"] == "available"

    assert (await shop.post(path, {"availability": "available"})).json()["data"][
        "availability"
    ] == "available"
    assert await market.availability(stone) == "available"
    assert not market.orders
    assert not market.holds
    acts = await market.rows(
        "SELECT subject, details FROM audit_log WHERE action = 'availability.set' ORDER BY id"
    )
    assert [act["details"]["availability"] for act in acts] == [word, "available"]
    assert {act["subject"] for act in acts} == {str(stone)}


async def test_a_hold_made_elsewhere_is_noted_as_spec_shows_it(market: Market, shop: Client) -> None:
    stone = await market.stone()

    await shop.post(f"/diamonds/{stone}/availability", {"availability": "on_hold", "holdId": "hold-123"})

    row = await market.row("SELECT status, feed_hold_id, by_hand FROM hold_history")
    assert row == {"status": "active", "feed_hold_id": "hold-123", "by_hand": True}
    other = await market.client("trade")
    assert (await other.buy(stone)).status_code == 409
    assert (
        await other.post(f"/diamonds/{stone}/availability", {"availability": "available"})
    ).status_code == 403


async def test_a_hold_noted_by_hand_ends_by_its_time_and_not_by_a_stranger_s_question(
    market: Market, shop: Client
) -> None:
    """The supplier never heard of it: that it offers the stone says nothing."""
    stone = await market.stone()
    path = f"/diamonds/{stone}/availability"
    await shop.post(path, {"availability": "on_hold"})
    other = await market.client("trade")

    assert (await other.post(path)).json()["data"]["availability"] == "on_hold"
    assert (await other.buy(stone)).status_code == 409

    await market.let_pass(timedelta(hours=25))
    await market.settle()
    assert await market.availability(stone) == "available"


async def test_nobody_ends_another_s_hold_by_noting_its_id(market: Market, shop: Client) -> None:
    held, mine = await market.stone(), await market.stone()
    await shop.hold(held)
    hold_id = market.holds[0].id
    thief = await market.client("trade", "cost")
    note = {"availability": "on_hold", "holdId": hold_id}

    assert (await thief.post(f"/diamonds/{mine}/availability", note)).status_code == 403
    note["holdId"] = "made-up"
    assert (await thief.post(f"/diamonds/{mine}/availability", note)).status_code == 200
    assert (await thief.delete(f"/diamonds/{mine}/hold")).status_code == 200

    assert market.holds[0].state == "active"
    assert not market.simulator.stats()["by_kind"].get("cancel_hold"), "an id from a client is sent nowhere"
    assert await market.availability(held) == "on_hold"


async def test_a_word_that_contradicts_a_hold_or_an_order_at_the_supplier_is_refused(
    market: Market, shop: Client
) -> None:
    held, ordered = await market.stone(), await market.stone()
    await shop.hold(held)
    await shop.buy(ordered)

    for stone in (held, ordered):
        answer = await shop.post(f"/diamonds/{stone}/availability", {"availability": "available"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")
    assert await market.availability(held) == "on_hold"
    assert await market.availability(ordered) == "sold"


async def test_a_confirmed_stone_that_came_back_is_set_free_by_an_administrator(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    await shop.buy(stone)
    await market.rows("UPDATE purchase_history SET status = 'confirmed'")
    path, body = f"/diamonds/{stone}/availability", {"availability": "available"}

    assert (await shop.post(path, body)).status_code == 409
    assert (await (await market.client("admin")).post(path, body)).status_code == 200
    assert (await market.row("SELECT status FROM purchase_history"))["status"] == "returned"
    assert await market.availability(stone) == "available"


async def test_what_another_client_marked_is_only_an_administrator_s_to_change(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    path = f"/diamonds/{stone}/availability"
    await shop.post(path, {"availability": "sold"})
    other, admin = await market.client("trade"), await market.client("admin")

    assert (await other.post(path, {"availability": "available"})).status_code == 403
    assert (await admin.post(path, {"availability": "available"})).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"availability": "gone"},
        {"availability": "on_hold", "until": "x"},
        {"holdId": "hold-1"},
        {"holdId": ""},
    ],
)
async def test_a_word_that_is_not_understood_is_refused(
    market: Market, shop: Client, body: dict[str, str]
) -> None:
    answer = await shop.post(f"/diamonds/{await market.stone()}/availability", body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_asking_the_supplier_keeps_its_answer_for_consolidation(market: Market, shop: Client) -> None:
    stone = await market.stone()
    supplier_id = await market.supplier_id(stone)
    inventory, now = market.simulator.supplier.inventory, market.simulator.supplier.clock.now_ms()
    row = inventory.row_of(supplier_id)
    assert row is not None
    inventory.reprice(row, 4_444_400, now)
    market.simulator.supplier.trade.create_order([{"offerId": f"DIAMOND/{supplier_id}"}])

    answer = await shop.post(f"/diamonds/{stone}/availability", {})

    told = answer.json()["data"]
    assert (told["availability"], told["rawAvailability"]) == ("on_hold", "ON_HOLD")
    assert told["checkedAt"] is not None
    assert "holdId" not in told
    pending = await market.row(
        "SELECT consolidated FROM raw_diamonds WHERE supplier_stone_id = %s", supplier_id
    )
    assert pending["consolidated"] is False
    await market.consolidate()
    assert (await market.diamond(stone))["feed_price"] == 44_444


async def test_a_stone_that_is_gone_is_unavailable_until_a_listing_shows_it_again(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    inventory, clock = market.simulator.supplier.inventory, market.simulator.supplier.clock
    row = inventory.row_of(await market.supplier_id(stone))
    assert row is not None
    inventory.remove(row, clock.now_ms())

    answer = await shop.post(f"/diamonds/{stone}/availability")

    assert answer.json()["data"]["availability"] == "unavailable"
    inventory.relist(row, clock.now_ms())
    await market.consolidate()
    assert await market.availability(stone) == "available"


async def test_a_supplier_that_cannot_be_asked_changes_nothing(market: Market, shop: Client) -> None:
    stone = await market.stone()
    market.befall("unavailable", "by_id")
    before = await market.diamond(stone)

    assert (await shop.post(f"/diamonds/{stone}/availability")).status_code == 503
    assert await market.diamond(stone) == before
