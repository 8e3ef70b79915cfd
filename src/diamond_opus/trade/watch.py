"""The periodic look after trade: lost answers, holds whose time is over, orders that wait for the vendor."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

import psycopg

from diamond_opus.db.pool import Connection
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import DiamondError
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.turns import take_turns
from diamond_opus.runs.store import take_duty
from diamond_opus.trade import holds, orders
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.evidence import (
    Patience,
    is_free_of_hold,
    is_free_of_order,
    judge_hold,
    judge_order,
    judge_release,
)
from diamond_opus.trade.look import Look
from diamond_opus.trade.model import (
    HOLD_TIME,
    HoldRecord,
    HoldStatus,
    OrderRecord,
    OrderStatus,
    StoneKey,
    SupplierFailed,
)
from diamond_opus.trade.reports import hold_unknown, order_unknown
from diamond_opus.trade.stones import due_stones, find_stone, lock_stone, settle_stone

log = get_logger(__name__)

Due = TypeVar("Due", StoneKey, OrderRecord, HoldRecord)

DUTY = "trade"

#: However many questions are open, one turn asks the supplier about so many.
_MOST_LOOKS = 20


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """A turn every ``seconds``. An open question is looked at again after a tenth of its age, within the bounds."""

    seconds: float = 10.0
    soonest_look: timedelta = timedelta(seconds=10)
    latest_look: timedelta = timedelta(minutes=10)
    patience: Patience = field(default_factory=Patience)


class TradeWatch:
    """Of all processes that watch, one at a time does it; a duty whose holder died is taken over after two turns."""

    def __init__(self, desk: Desk, *, holder: UUID, clock: Clock, settings: WatchSettings) -> None:
        self._desk = desk
        self._holder = holder
        self._clock = clock
        self._settings = settings

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``, which ends what is under way: every step is repeated by the next turn, here or elsewhere.

        Reports never wait for the supplier: looking for evidence has a rhythm of its own.
        """
        rhythms = [
            take_turns(
                stop,
                partial(self._turn_safely, work),
                duty=DUTY,
                clock=self._clock,
                pause_seconds=lambda: self._settings.seconds,
            )
            for work in (self.settle, self.look_for_evidence)
        ]
        await asyncio.gather(*rhythms)

    async def settle(self) -> None:
        """What time decides: whose process is gone, and whose time is over; then the reports."""
        async with self._desk.pool.connection() as conn:
            due = await due_stones(conn)
        await _each(due, lambda key: self._desk.transact(partial(_settle_what_time_decides, key)))
        await self.report()

    async def report(self) -> None:
        """Tell about each lost answer once; a report that was not noted is repeated."""
        async with self._desk.pool.connection() as conn:
            unknown_orders = await orders.unreported(conn)
            unknown_holds = await holds.unreported(conn)
        for order in unknown_orders:
            await self._desk.alerts.raise_alert(order_unknown(order))
            async with self._desk.pool.connection() as conn:
                await orders.mark_reported(conn, order.id)
        for hold in unknown_holds:
            await self._desk.alerts.raise_alert(hold_unknown(hold))
            async with self._desk.pool.connection() as conn:
                await holds.mark_reported(conn, hold.id)

    async def look_for_evidence(self) -> None:
        """Ask the supplier about the stones of open questions; what proves nothing stays open."""
        soonest, latest = self._settings.soonest_look, self._settings.latest_look
        async with self._desk.pool.connection() as conn:
            open_orders = await orders.to_look_at(conn, soonest=soonest, latest=latest, limit=_MOST_LOOKS)
            open_holds = await holds.to_look_at(conn, soonest=soonest, latest=latest, limit=_MOST_LOOKS)
        await _each(open_orders, self._look_at_order)
        await _each(open_holds, self._look_at_hold)

    async def _turn_safely(self, work: Callable[[], Awaitable[None]]) -> None:
        """While this process has the duty; a turn that fails is repeated by the next."""
        try:
            if await self._has_duty():
                await work()
        except (DiamondError, psycopg.Error, OSError) as error:
            log.warning("trade_watch_failed", reason=str(error))

    async def _has_duty(self) -> bool:
        async with self._desk.pool.connection() as conn:
            return await take_duty(conn, DUTY, holder=self._holder, lease_seconds=2 * self._settings.seconds)

    async def _look_at_order(self, order: OrderRecord) -> None:
        look = await self._look(order)
        if look is None:
            async with self._desk.pool.connection() as conn:
                await orders.note_silence(conn, order.id)
            return

        async def write(conn: Connection) -> OrderRecord | None:
            await lock_stone(conn, order.key)
            free = is_free_of_order(order, look)
            await orders.note_look(conn, order.id, is_free=free, asked_at=look.asked_at)
            present = await orders.get_order(conn, order.id)
            if present is None or present.status is not order.status:
                return None
            status = judge_order(present, look, look.asked_at, self._settings.patience)
            resolved = None
            if status is not None:
                resolved = await _resolve(conn, present, status, look)
            await settle_stone(conn, order.key, look)
            return resolved

        resolved = await self._desk.transact(write)
        if resolved is not None:
            log.info(
                "order_resolved", order_id=str(order.id), before=order.status.value, now=resolved.status.value
            )

    async def _look_at_hold(self, hold: HoldRecord) -> None:
        look = await self._look(hold)
        if look is None:
            async with self._desk.pool.connection() as conn:
                await holds.note_silence(conn, hold.id)
            return

        async def write(conn: Connection) -> None:
            await lock_stone(conn, hold.key)
            await holds.note_look(conn, hold.id, is_free=is_free_of_hold(look), asked_at=look.asked_at)
            present = await holds.get_hold(conn, hold.id)
            if present is None or present.status is not hold.status:
                return
            status = self._judge_hold(present, look)
            if status is not None:
                await holds.move_hold(
                    conn,
                    hold.id,
                    status,
                    expected=[hold.status],
                    feed_hold_id=look.hold_id if status is HoldStatus.ACTIVE else None,
                    hold_until=hold.sent_at + HOLD_TIME if hold.sent_at else None,
                    reason="found out by looking at the stone",
                )
            await settle_stone(conn, hold.key, look)

        await self._desk.transact(write)

    def _judge_hold(self, hold: HoldRecord, look: Look) -> HoldStatus | None:
        if hold.status is HoldStatus.RELEASING:
            return judge_release(hold, look)
        if hold.status is HoldStatus.UNKNOWN:
            return judge_hold(hold, look, look.asked_at, self._settings.patience)
        return None

    async def _look(self, traded: OrderRecord | HoldRecord) -> Look | None:
        """The supplier's answer, None when there is none now: a later turn asks again, others first."""
        try:
            known = None
            if traded.diamond_id is not None:
                async with self._desk.pool.connection() as conn:
                    known = await find_stone(conn, traded.diamond_id)
            return await self._desk.look(traded.key, known)
        except SupplierFailed as error:
            log.warning("evidence_not_found", id=str(traded.id), reason=str(error))
            return None


async def _each(due: Sequence[Due], work: Callable[[Due], Awaitable[object]]) -> None:
    """One after the other: a stone that somebody has locked for long, or that fails, keeps no other waiting."""
    for one in due:
        try:
            await work(one)
        except psycopg.Error as error:
            log.warning("trade_watch_failed", about=str(one), reason=str(error))


async def _settle_what_time_decides(key: StoneKey, conn: Connection) -> None:
    """Under the stone's lock, so that a client who trades it at this moment is either before or after."""
    await lock_stone(conn, key)
    for order in await orders.lapse(conn, key):
        log.warning("order_interrupted", order_id=str(order.id), status=order.status.value)
    for hold in await holds.lapse(conn, key):
        log.warning("hold_interrupted", hold_id=str(hold.id), status=hold.status.value)
    await holds.expire(conn, key)
    await settle_stone(conn, key)


async def _resolve(
    conn: Connection, order: OrderRecord, status: OrderStatus, look: Look
) -> OrderRecord | None:
    if status is not OrderStatus.REFUSED:
        await holds.use_up(conn, order.key)
    return await orders.resolve(
        conn,
        order.id,
        status,
        expected=[order.status],
        by="watch",
        how="evidence",
        note=f"the supplier shows the stone as {look.availability}, "
        f"{'with' if look.order_item_id else 'without'} the mark of an order",
    )
