"""Holds: asked for once, ended by time, by their client or by the supplier's word, and never by a listing."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from diamond_opus.domain.errors import Retryable
from diamond_opus.feeds.nivoda import NivodaTrading
from diamond_opus.runs.model import RunType
from trade_market import Client, Market


async def test_a_hold_is_made_at_the_supplier_and_shown_to_everybody(market: Market, shop: Client) -> None:
    stone = await market.stone()
    version = await market.version()

    answer = await shop.hold(stone)

    assert answer.status_code == 201, answer.text
    told = answer.json()["data"]
    [at_supplier] = market.holds
    assert (told["status"], told["denied"], told["diamondId"]) == ("active", False, str(stone))
    assert at_supplier.stone_id == await market.supplier_id(stone), "the bare stone id, not the offer's"
    diamond = await market.diamond(stone)
    assert (diamond["availability"], diamond["local_status"]) == ("on_hold", "on_hold")
    assert diamond["local_hold_until"].timestamp() * 1000 == pytest.approx(at_supplier.until_ms, abs=1000)
    assert stone in await market.changed_since(version), "caches must not show the stone as available"
    row = await market.row("SELECT * FROM hold_history")
    assert (row["status"], row["feed_hold_id"], str(row["id"])) == ("active", at_supplier.id, told["id"])


async def test_a_key_without_cost_learns_nothing_of_the_supplier_from_a_hold(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    told = (await shop.hold(stone)).text
    told += (await shop.delete(f"/diamonds/{stone}/hold")).text

    assert await market.supplier_id(stone) not in told
    assert market.holds[0].id not in told


async def test_two_callers_who_want_one_stone_get_one_hold(market: Market) -> None:
    stone = await market.stone()
    clients = [await market.client() for _ in range(8)]

    answers = await asyncio.gather(*(client.hold(stone) for client in clients))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert len(market.holds) == 1


async def test_holding_a_stone_again_says_that_you_hold_it(market: Market, shop: Client) -> None:
    stone = await market.stone()
    first = (await shop.hold(stone)).json()["data"]

    again = await shop.hold(stone)

    assert again.status_code == 409
    assert again.json()["error"]["details"] == {"id": first["id"], "status": "active"}


async def test_a_stone_that_is_not_available_cannot_be_held(market: Market, shop: Client) -> None:
    sold = await market.stone()
    await market.rows("UPDATE diamonds SET feed_availability = 'sold' WHERE id = %s", sold)
    gone = await market.stone()
    await market.rows("UPDATE diamonds SET status = 'deleted', deleted_at = now() WHERE id = %s", gone)

    assert (await shop.hold(sold)).json()["error"]["code"] == "CONFLICT"
    assert (await shop.hold(gone)).json()["error"]["code"] == "DIAMOND_NOT_FOUND"
    assert market.simulator.stats()["by_kind"].get("create_hold", 0) == 0


async def test_a_denied_hold_is_a_conflict_and_leaves_the_stone_free(market: Market, shop: Client) -> None:
    stone = await market.stone()
    market.befall("hold_refused", "create_hold")

    answer = await shop.hold(stone)

    assert answer.status_code == 409
    assert answer.json()["error"]["details"]["denied"] is True
    assert await market.availability(stone) == "available"
    assert (await market.row("SELECT status, denied FROM hold_history")) == {
        "status": "denied",
        "denied": True,
    }
    market.recover()
    assert (await shop.hold(stone)).status_code == 201


async def test_a_hold_that_never_reached_the_supplier_may_be_asked_for_again(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    market.befall("http_429", "create_hold", seconds=3.0)

    answer = await shop.hold(stone)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert await market.availability(stone) == "available"
    market.recover()
    assert (await shop.hold(stone)).status_code == 201


@pytest.mark.parametrize("fault", ["answer_lost", "failed_after", "truncated"])
async def test_a_hold_whose_answer_was_lost_blocks_the_stone_until_it_is_found(
    market: Market, shop: Client, fault: str
) -> None:
    stone = await market.stone()
    market.befall(fault, "create_hold", limit=1)

    answer = await shop.hold(stone)

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "unknown")
    assert await market.availability(stone) == "on_hold"
    assert (await (await market.client()).hold(stone)).status_code == 409
    await market.watch()
    assert market.alerts.events == ["hold_unknown"]
    row = await market.row("SELECT status, feed_hold_id, hold_until > now() AS lasts FROM hold_history")
    assert row == {"status": "active", "feed_hold_id": market.holds[0].id, "lasts": True}
    assert len(market.holds) == 1


async def test_a_lost_hold_that_the_supplier_never_made_frees_the_stone_after_a_while(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    market.befall("reset", "create_hold")
    assert (await shop.hold(stone)).status_code == 202
    market.recover()

    await market.watch()
    assert await market.availability(stone) == "on_hold", "one look right away proves nothing"
    await market.let_pass(timedelta(minutes=3))
    await market.watch()

    assert await market.availability(stone) == "available"
    assert (await market.row("SELECT status FROM hold_history"))["status"] == "failed"


async def test_a_hold_ends_when_its_time_is_over(market: Market, shop: Client) -> None:
    stone = await market.stone()
    await shop.hold(stone)
    version = await market.version()

    await market.let_pass(timedelta(hours=25))
    await market.watch()

    assert (await market.row("SELECT status FROM hold_history"))["status"] == "expired"
    diamond = await market.diamond(stone)
    assert (diamond["local_status"], diamond["local_hold_until"]) == (None, None)
    assert stone in await market.changed_since(version)


async def test_ending_a_hold_ends_it_at_the_supplier(market: Market, shop: Client) -> None:
    stone = await market.stone()
    await shop.hold(stone)

    answer = await shop.delete(f"/diamonds/{stone}/hold")

    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "released")
    assert market.holds[0].state == "cancelled"
    assert await market.availability(stone) == "available"
    assert (await shop.delete(f"/diamonds/{stone}/hold")).status_code == 404


async def test_a_client_ends_only_its_own_hold_and_an_administrator_any(market: Market, shop: Client) -> None:
    stone = await market.stone()
    await shop.hold(stone)
    other, admin = await market.client("trade"), await market.client("admin")

    refused = await other.delete(f"/diamonds/{stone}/hold")
    assert (refused.status_code, refused.json()["error"]["details"]) == (403, {"permission": "admin"})
    assert market.holds[0].state == "active"

    assert (await admin.delete(f"/diamonds/{stone}/hold")).status_code == 200
    assert market.holds[0].state == "cancelled"
    [act] = await market.rows("SELECT subject FROM audit_log WHERE action = 'hold.release'")
    assert act["subject"] == str((await market.row("SELECT id FROM hold_history"))["id"])


async def test_a_hold_whose_end_was_refused_goes_on_unless_it_is_over_already(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    await shop.hold(stone)
    market.befall("cancel_refused", "cancel_hold")

    assert (await shop.delete(f"/diamonds/{stone}/hold")).status_code == 409
    assert await market.availability(stone) == "on_hold"

    market.recover()
    market.simulator.supplier.trade.end_hold(market.holds[0].id)
    ended = await shop.delete(f"/diamonds/{stone}/hold")
    assert (ended.status_code, ended.json()["data"]["status"]) == (200, "released")
    assert await market.availability(stone) == "available"


async def test_the_lost_answer_to_the_end_of_a_hold_is_found_out(market: Market, shop: Client) -> None:
    stone = await market.stone()
    await shop.hold(stone)
    market.befall("answer_lost", "cancel_hold", limit=1)

    answer = await shop.delete(f"/diamonds/{stone}/hold")

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "releasing")
    assert await market.availability(stone) == "on_hold"
    await market.let_pass(timedelta(minutes=1))
    await market.watch()
    assert await market.availability(stone) == "available"
    assert (await market.row("SELECT status FROM hold_history"))["status"] == "released"


async def test_b14_a_listing_ends_no_hold_but_the_supplier_s_word_on_that_stone_does(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    await shop.hold(stone)
    market.simulator.supplier.trade.end_hold(market.holds[0].id)
    await market.consolidate(RunType.FULL)
    diamond = await market.diamond(stone)
    assert (diamond["feed_availability"], diamond["availability"]) == ("available", "on_hold")

    answer = await shop.post(f"/diamonds/{stone}/availability")

    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["availability"] == "available"
    assert await market.availability(stone) == "available"
    assert (await market.row("SELECT status FROM hold_history"))["status"] == "released"


async def test_asking_about_a_held_stone_leaves_its_hold_alone_while_the_supplier_keeps_it(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    await shop.hold(stone)

    answer = await shop.post(f"/diamonds/{stone}/availability")

    assert answer.json()["data"]["availability"] == "on_hold"
    assert (await market.row("SELECT status FROM hold_history"))["status"] == "active"


async def test_a_stone_whose_hold_ended_is_shown_free_although_the_last_listing_had_it_on_hold(
    market: Market, shop: Client
) -> None:
    stone = await market.stone()
    await shop.hold(stone)
    await market.consolidate()
    assert (await market.diamond(stone))["feed_availability"] == "on_hold"
    await shop.delete(f"/diamonds/{stone}/hold")

    await market.watch()

    assert await market.availability(stone) == "available"
    asked = market.simulator.stats()["by_kind"]["by_id"]
    await market.watch()
    assert market.simulator.stats()["by_kind"]["by_id"] == asked, "there is nothing left to ask"


async def test_a_hold_that_the_supplier_refuses_shows_what_the_stone_is(market: Market, shop: Client) -> None:
    stone = await market.stone()
    market.simulator.supplier.trade.create_order([{"offerId": (await market.diamond(stone))["offer_id"]}])

    assert (await shop.hold(stone)).status_code == 409

    assert await market.availability(stone) == "on_hold"
    assert (await market.diamond(stone))["local_status"] is None


async def test_a_look_that_was_asked_for_before_a_hold_was_made_does_not_end_it(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hold's request waits for its slot; meanwhile another client asks, and the supplier says: available."""
    first, second = await market.client(), await market.client()
    stone = await market.stone()
    is_asked, is_held = asyncio.Event(), asyncio.Event()
    create_hold, get_diamond = NivodaTrading.create_hold, NivodaTrading.get_diamond

    async def hold_late(trading: NivodaTrading, supplier_stone_id: str) -> Any:
        await is_asked.wait()
        return await create_hold(trading, supplier_stone_id)

    async def answer_late(trading: NivodaTrading, supplier_stone_id: str) -> Any:
        item = await get_diamond(trading, supplier_stone_id)
        is_asked.set()
        await is_held.wait()
        return item

    monkeypatch.setattr(NivodaTrading, "create_hold", hold_late)
    monkeypatch.setattr(NivodaTrading, "get_diamond", answer_late)
    holding = asyncio.create_task(first.hold(stone))
    while not await market.rows("SELECT id FROM hold_history"):  # noqa: ASYNC110 - the request writes it
        await asyncio.sleep(0.01)
    looking = asyncio.create_task(second.post(f"/diamonds/{stone}/availability"))
    assert (await holding).json()["data"]["status"] == "active"
    is_held.set()
    await looking

    assert (await market.row("SELECT status FROM hold_history"))["status"] == "active"
    assert await market.availability(stone) == "on_hold"


async def test_of_two_releases_at_once_the_supplier_s_yes_counts(
    market: Market, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is done at the supplier and answered late; the second surely never left."""
    stone = await market.stone()
    await shop.hold(stone)
    is_done, has_failed = asyncio.Event(), asyncio.Event()
    cancel_hold = NivodaTrading.cancel_hold

    async def cancel(trading: NivodaTrading, hold_id: str) -> Any:
        if is_done.is_set():
            raise Retryable("no slot of the budget")
        ended = await cancel_hold(trading, hold_id)
        is_done.set()
        await has_failed.wait()
        return ended

    monkeypatch.setattr(NivodaTrading, "cancel_hold", cancel)
    first = asyncio.create_task(shop.delete(f"/diamonds/{stone}/hold"))
    await is_done.wait()
    second = await shop.delete(f"/diamonds/{stone}/hold")
    has_failed.set()

    assert second.status_code == 503
    assert (await first).json()["data"]["status"] == "released"
    assert await market.availability(stone) == "available"
