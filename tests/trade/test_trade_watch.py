"""The periodic look after trade: one process at a time, never waiting for the supplier, gone when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from diamond_opus.domain.clock import SystemClock
from diamond_opus.domain.errors import Retryable
from diamond_opus.feeds.nivoda import NivodaTrading
from diamond_opus.feeds.protocol import RawItem
from diamond_opus.trade import orders
from diamond_opus.trade import watch as watch_module
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.look import Look
from diamond_opus.trade.model import StoneKey, SupplierFailed, TradedStone
from diamond_opus.trade.stones import lock_stone
from diamond_opus.trade.watch import TradeWatch, WatchSettings
from trade_market import Client, Market

OFTEN = WatchSettings(seconds=0.05, soonest_look=timedelta(0), latest_look=timedelta(0))


@asynccontextmanager
async def watching(market: Market, processes: int = 1) -> AsyncIterator[None]:
    """So many processes watch; leaving stops them, long before a look at the supplier would time out."""
    stop = asyncio.Event()
    watches = [
        TradeWatch(market.pipeline.desk(), holder=uuid4(), clock=SystemClock(), settings=OFTEN)
        for _ in range(processes)
    ]
    running = [asyncio.create_task(watch.run(stop)) for watch in watches]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*running), timeout=10)


async def _until_reported(market: Market) -> None:
    async with asyncio.timeout(10):
        while not market.alerts.events:  # noqa: ASYNC110 - the watch reports it
            await asyncio.sleep(0.01)


async def test_of_many_processes_one_reports_and_reports_once(market: Market, shop: Client) -> None:
    market.befall("reset", "create_order")
    await shop.buy(await market.stone())

    async with watching(market, processes=4):
        await _until_reported(market)
        await asyncio.sleep(0.5)

    assert market.alerts.events == ["order_unknown"]


async def test_a_process_that_has_the_duty_and_dies_is_replaced(market: Market, shop: Client) -> None:
    await market.rows(
        "INSERT INTO duties VALUES ('trade', gen_random_uuid(), now() + interval '0.3 seconds')"
    )
    market.befall("reset", "create_order")
    await shop.buy(await market.stone())

    async with watching(market):
        await _until_reported(market)


async def test_a_supplier_that_does_not_answer_delays_no_report_and_no_stop(
    market: Market, shop: Client
) -> None:
    market.befall("reset", "create_order", limit=1)
    await shop.buy(await market.stone(), "first")
    market.befall("slow", "by_id", seconds=60.0)
    async with watching(market):
        await _until_reported(market)
        async with asyncio.timeout(10):
            while market.simulator.stats()["faults_injected"].get("slow", 0) < 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        other = await market.stone()
        await market.rows(
            "INSERT INTO purchase_history"
            " (feed, supplier_stone_id, offer_id, client, idempotency_key, status, sent_at, lease_expires_at)"
            " VALUES ('nivoda', %s, 'DIAMOND/x', 'key:1', 'second', 'sending', now(), now() - interval '1 s')",
            await market.supplier_id(other),
        )
        async with asyncio.timeout(10):
            while len(market.alerts.events) < 2:  # noqa: ASYNC110 - the watch reports it
                await asyncio.sleep(0.01)

    assert market.alerts.events == ["order_unknown"] * 2


async def test_a_turn_that_fails_is_repeated_by_the_next(market: Market, shop: Client) -> None:
    stone = await market.stone()
    market.befall("answer_lost", "create_order", limit=1)
    await shop.buy(stone)
    await market.rows("ALTER TABLE duties RENAME TO away")

    async with watching(market):
        await asyncio.sleep(0.2)
        assert market.alerts.events == []
        await market.rows("ALTER TABLE away RENAME TO duties")
        async with asyncio.timeout(10):
            while await market.availability(stone) != "sold":  # noqa: ASYNC110 - the watch finds it out
                await asyncio.sleep(0.05)


async def test_what_nobody_thought_of_ends_neither_the_watch_nor_its_other_half(
    market: Market, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    stone = await market.stone()
    market.befall("answer_lost", "create_order", limit=1)
    await shop.buy(stone)
    broken = iter([OverflowError("date value out of range")])

    async def to_look_at(*arguments: Any, **named: Any) -> object:
        for error in broken:
            raise error
        return await look(*arguments, **named)

    look = orders.to_look_at
    monkeypatch.setattr(orders, "to_look_at", to_look_at)

    async with watching(market), asyncio.timeout(10):
        while await market.availability(stone) != "sold":  # noqa: ASYNC110 - the watch finds it out
            await asyncio.sleep(0.05)

    assert market.alerts.events == ["order_unknown"]


async def test_nobody_waits_long_for_a_supplier_that_does_not_answer(market: Market) -> None:
    stone = await market.stone()
    market.befall("slow", "by_id", seconds=60.0)
    hasty = replace(market.pipeline.desk(), patience_seconds=0.2)

    with pytest.raises(SupplierFailed, match=r"did not answer within 0\.2 s; nothing was done"):
        await hasty.look(StoneKey("nivoda", await market.supplier_id(stone)), None)


async def test_a_stone_that_somebody_has_locked_keeps_no_other_waiting(market: Market, shop: Client) -> None:
    market.befall("answer_lost", "create_order", limit=2)
    locked, free = await market.stone(), await market.stone()
    await shop.buy(locked, "first")
    await shop.buy(free, "second")
    key = StoneKey("nivoda", await market.supplier_id(locked))
    desk = replace(market.pipeline.desk(), statement_timeout_ms=1000)
    watch = TradeWatch(desk, holder=uuid4(), clock=SystemClock(), settings=OFTEN)
    async with market.pool.connection() as conn, conn.transaction():
        await lock_stone(conn, key)

        await watch.settle()
        await watch.look_for_evidence()

    statuses = {
        row["diamond_id"]: row["status"] for row in await market.rows("SELECT * FROM purchase_history")
    }
    assert statuses == {locked: "unknown", free: "ordered"}


async def test_questions_that_the_supplier_never_answers_let_others_be_asked(
    market: Market, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_MOST_LOOKS", 1)
    market.befall("answer_lost", "create_order", limit=2)
    silent, other = await market.stone(), await market.stone()
    await shop.buy(silent, "first")
    await shop.buy(other, "second")
    ask = NivodaTrading.get_diamond
    silent_id = await market.supplier_id(silent)

    async def get_diamond(trading: NivodaTrading, supplier_stone_id: str) -> RawItem | None:
        if supplier_stone_id == silent_id:
            raise Retryable("no answer")
        return await ask(trading, supplier_stone_id)

    monkeypatch.setattr(NivodaTrading, "get_diamond", get_diamond)
    seldom = WatchSettings(soonest_look=timedelta(minutes=1))
    watch = TradeWatch(market.pipeline.desk(), holder=uuid4(), clock=SystemClock(), settings=seldom)
    await watch.settle()
    for _ in range(2):
        await watch.look_for_evidence()

    statuses = {
        row["diamond_id"]: row["status"] for row in await market.rows("SELECT * FROM purchase_history")
    }
    assert statuses == {silent: "unknown", other: "ordered"}


async def test_evidence_that_is_judged_late_proves_nothing_of_the_time_between(
    market: Market, shop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supplier lags for seconds, and the process stands still for minutes between its answer and the judgement."""
    stone = await market.stone()
    shown_before = await market.pipeline.desk().traders["nivoda"].get_diamond(await market.supplier_id(stone))
    market.befall("answer_lost", "create_order", limit=1)
    await shop.buy(stone)

    async def get_diamond(_trading: NivodaTrading, _supplier_stone_id: str) -> RawItem | None:
        return shown_before

    async def stand_still(desk: Desk, key: StoneKey, known: TradedStone | None) -> Look:
        seen = await whole_look(desk, key, known)
        await market.let_pass(standing)
        return replace(seen, asked_at=seen.asked_at - standing)

    standing = timedelta(minutes=20)
    whole_look = Desk.look
    monkeypatch.setattr(NivodaTrading, "get_diamond", get_diamond)
    await market.watch()
    monkeypatch.setattr(Desk, "look", stand_still)
    await market.watch()

    assert (await market.row("SELECT status FROM purchase_history"))["status"] == "unknown"
