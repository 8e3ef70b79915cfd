"""How a stone is held: written down, asked for once, and the answer written down."""

from datetime import datetime
from uuid import UUID, uuid4

from diamond_opus.db.pool import Connection
from diamond_opus.domain.errors import DiamondError
from diamond_opus.domain.grades import Availability
from diamond_opus.feeds.trading import AnswerLost, Refused
from diamond_opus.observability.logging import get_logger
from diamond_opus.trade import holds, orders
from diamond_opus.trade.conflicts import not_available
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.look import Look, supplier_failed
from diamond_opus.trade.model import (
    HOLD_TIME,
    HoldRecord,
    HoldStatus,
    NoSuchStone,
    SupplierFailed,
    TradeConflict,
    TradedStone,
)
from diamond_opus.trade.stones import database_time, find_stone, lock_stone, settle_stone

log = get_logger(__name__)


async def hold_stone(
    desk: Desk, diamond_id: UUID, *, client: str, stranger: TradedStone | None = None
) -> HoldRecord:
    """Hold a stone of the catalogue, or ``stranger``, which is not in it: active, or unknown when the answer was lost.

    Raises NoSuchStone, TradeConflict (not to be had, or denied), or SupplierFailed when nothing was done.
    """
    token = uuid4()

    async def begin(conn: Connection) -> HoldRecord:
        return await _begin(desk, conn, diamond_id, client, token, stranger)

    hold = await desk.transact(begin)

    async def renew() -> None:
        async with desk.pool.connection() as conn:
            await holds.renew_lease(conn, hold.id, token, desk.lease)

    async with desk.keeping(renew):
        return await _ask(desk, hold)


async def _begin(
    desk: Desk,
    conn: Connection,
    diamond_id: UUID,
    client: str,
    token: UUID,
    stranger: TradedStone | None,
) -> HoldRecord:
    """The intent. Raises NoSuchStone or TradeConflict."""
    stone = await find_stone(conn, diamond_id) or stranger
    if stone is None or not stone.is_active:
        raise NoSuchStone(f"there is no diamond with the id {diamond_id}")
    await lock_stone(conn, stone.key)
    # What was read before the lock may be what another client has just changed.
    found = await find_stone(conn, diamond_id)
    stone = found or stone
    if await orders.live_order(conn, stone.key) is not None:
        raise not_available("it is ordered already")
    present = await holds.live_hold(conn, stone.key)
    if present is not None:
        raise _held_already(present, client)
    if stone.availability != Availability.AVAILABLE:
        raise not_available(f"it is {stone.availability}")
    hold = await holds.insert_hold(
        conn, stone, in_catalogue=found is not None, client=client, token=token, lease=desk.lease
    )
    if hold is None:
        raise not_available("it is held already")
    await settle_stone(conn, stone.key)
    return hold


async def _ask(desk: Desk, hold: HoldRecord) -> HoldRecord:
    """The one and only call, and what came of it."""
    try:
        answer = await desk.trader(hold.feed).create_hold(hold.supplier_stone_id)
    except Refused as error:
        # It cannot be had, then, whatever the catalogue says: the stone shows why.
        look = await _look_if_possible(desk, hold)
        raise _denied(await _finish(desk, hold, HoldStatus.DENIED, reason=str(error), look=look)) from error
    except AnswerLost as error:
        log.warning("hold_answer_lost", hold_id=str(hold.id), reason=str(error))
        return await _finish(desk, hold, HoldStatus.UNKNOWN, reason=str(error))
    except DiamondError as error:
        await _finish(desk, hold, HoldStatus.FAILED, reason=str(error))
        raise supplier_failed(error) from error
    if answer.is_denied:
        raise _denied(await _finish(desk, hold, HoldStatus.DENIED, feed_hold_id=answer.id))
    return await _finish(desk, hold, HoldStatus.ACTIVE, feed_hold_id=answer.id, hold_until=answer.until)


async def _finish(
    desk: Desk,
    hold: HoldRecord,
    status: HoldStatus,
    *,
    feed_hold_id: str | None = None,
    hold_until: datetime | None = None,
    reason: str | None = None,
    look: Look | None = None,
) -> HoldRecord:
    """Write down what became of a hold that was being asked for; a hold without an end gets the usual one."""

    async def write(conn: Connection) -> HoldRecord:
        await lock_stone(conn, hold.key)
        until = hold_until
        if status is HoldStatus.ACTIVE and until is None:
            until = await database_time(conn) + HOLD_TIME
        moved = await holds.move_hold(
            conn,
            hold.id,
            status,
            expected=[HoldStatus.SENDING, HoldStatus.UNKNOWN]
            if status in (HoldStatus.ACTIVE, HoldStatus.FAILED)
            else [HoldStatus.SENDING],
            feed_hold_id=feed_hold_id,
            hold_until=until,
            reason=reason,
        )
        await settle_stone(conn, hold.key, look)
        # Nobody to move: the watch settled it meanwhile, and what it found counts.
        found = moved or await holds.get_hold(conn, hold.id)
        if found is None:
            raise RuntimeError(f"hold {hold.id} is not there any more")
        return found

    settled = await desk.transact(write)
    log.info("hold_answered", hold_id=str(hold.id), status=settled.status.value)
    return settled


async def _look_if_possible(desk: Desk, hold: HoldRecord) -> Look | None:
    try:
        return await desk.look(hold.key, None)
    except SupplierFailed:
        return None  # it is in the log, and the next listing tells as well


def _held_already(present: HoldRecord, client: str) -> TradeConflict:
    if present.client != client:
        return not_available("another client holds it")
    return TradeConflict(
        "you hold this stone already",
        hint="Buy it, or end the hold with DELETE /diamonds/{id}/hold.",
        details={"id": str(present.id), "status": present.status.value},
    )


def _denied(hold: HoldRecord) -> TradeConflict:
    """The vendor's no, told as the hold it would have been."""
    return TradeConflict(
        "the hold was denied by the supplier",
        hint="Try another stone; the vendor decides about each.",
        details={"id": str(hold.id), "denied": True, "until": None},
        confidential={"reason": hold.reason},
    )
