"""How a hold is ended: by its client or an administrator, at the supplier, and then here."""

from uuid import uuid4

from diamond_opus.db.audit import record_act
from diamond_opus.db.pool import Connection
from diamond_opus.domain.errors import DiamondError
from diamond_opus.feeds.trading import AnswerLost, Refused
from diamond_opus.observability.logging import get_logger
from diamond_opus.trade import holds, orders
from diamond_opus.trade.conflicts import IN_FLIGHT_SECONDS
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.evidence import judge_release
from diamond_opus.trade.look import Look, supplier_failed
from diamond_opus.trade.model import (
    HoldRecord,
    HoldStatus,
    NoSuchHold,
    OrderStatus,
    StoneKey,
    SupplierFailed,
    TradeConflict,
    TradeForbidden,
)
from diamond_opus.trade.stones import lock_stone, settle_stone

log = get_logger(__name__)


async def release_hold(desk: Desk, key: StoneKey, *, client: str, is_admin: bool) -> HoldRecord:
    """End the stone's live hold: released, or still ``releasing`` when the supplier's answer was lost.

    Raises NoSuchHold, TradeForbidden for another client's hold, TradeConflict, or SupplierFailed.
    """
    token = uuid4()

    async def begin(conn: Connection) -> HoldRecord:
        await lock_stone(conn, key)
        hold = _releasable(await holds.live_hold(conn, key), client, is_admin=is_admin)
        await _check_no_order(conn, key)
        # An id that a client merely told us is not sent to the supplier: it may be the id of anybody's hold.
        is_only_ours = hold.by_hand and (hold.feed_hold_id is None or not is_admin)
        status = HoldStatus.RELEASED if is_only_ours else HoldStatus.RELEASING
        moved = await holds.move_hold(
            conn,
            hold.id,
            status,
            expected=[HoldStatus.ACTIVE, HoldStatus.RELEASING],
            token=token,
            lease=desk.lease,
        )
        if hold.client != client:
            whose = {"client": hold.client}
            await record_act(conn, actor=client, action="hold.release", subject=str(hold.id), details=whose)
        await settle_stone(conn, key)
        return moved or hold

    hold = await desk.transact(begin)
    if hold.status is HoldStatus.RELEASED or hold.feed_hold_id is None:
        return hold

    async def renew() -> None:
        async with desk.pool.connection() as conn:
            await holds.renew_lease(conn, hold.id, token, desk.lease)

    async with desk.keeping(renew):
        return await _ask(desk, hold, hold.feed_hold_id)


def _releasable(hold: HoldRecord | None, client: str, *, is_admin: bool) -> HoldRecord:
    """The hold, when this caller may end it now. Raises NoSuchHold, TradeForbidden or TradeConflict."""
    if hold is None:
        raise NoSuchHold("there is no live hold of this stone")
    if hold.client != client and not is_admin:
        raise TradeForbidden("this hold belongs to another client")
    if hold.status in (HoldStatus.SENDING, HoldStatus.UNKNOWN):
        raise TradeConflict(
            "the hold is not settled yet: the supplier's answer is being found out",
            hint="Try again when GET /diamonds/{id} shows what became of it.",
            details={"id": str(hold.id), "status": hold.status.value},
            retry_after_seconds=IN_FLIGHT_SECONDS,
        )
    return hold


async def _check_no_order(conn: Connection, key: StoneKey) -> None:
    order = await orders.live_order(conn, key)
    if order is not None and order.status in (OrderStatus.SENDING, OrderStatus.UNKNOWN):
        raise TradeConflict(
            "the stone is being ordered",
            details={"orderId": str(order.id)},
            retry_after_seconds=IN_FLIGHT_SECONDS,
        )


async def _ask(desk: Desk, hold: HoldRecord, feed_hold_id: str) -> HoldRecord:
    try:
        await desk.trader(hold.feed).cancel_hold(feed_hold_id)
    except Refused as error:
        return await _find_out(desk, hold, error)
    except AnswerLost as error:
        log.warning("hold_end_answer_lost", hold_id=str(hold.id), reason=str(error))
        return hold
    except DiamondError as error:
        await _finish(desk, hold, HoldStatus.ACTIVE)
        raise supplier_failed(error) from error
    return await _finish(desk, hold, HoldStatus.RELEASED)


async def _find_out(desk: Desk, hold: HoldRecord, refusal: Refused) -> HoldRecord:
    """A refusal may mean that the hold is over already: what the stone bears decides."""
    try:
        look = await desk.look(hold.key, None)
    except SupplierFailed:
        log.warning("hold_end_refused", hold_id=str(hold.id), reason=str(refusal))
        return hold
    status = judge_release(hold, look)
    settled = await _finish(desk, hold, status, look, reason=str(refusal))
    if settled.status is HoldStatus.ACTIVE:
        raise TradeConflict(
            "the supplier did not end the hold",
            hint="It ends by itself when its time is over.",
            details={"id": str(hold.id)},
            confidential={"reason": str(refusal)},
        )
    return settled


async def _finish(
    desk: Desk, hold: HoldRecord, status: HoldStatus, look: Look | None = None, *, reason: str | None = None
) -> HoldRecord:
    # Of two at once one may find that its request never left; the other's yes counts all the same.
    before = (
        [HoldStatus.RELEASING, HoldStatus.ACTIVE] if status is HoldStatus.RELEASED else [HoldStatus.RELEASING]
    )

    async def write(conn: Connection) -> HoldRecord:
        await lock_stone(conn, hold.key)
        moved = await holds.move_hold(conn, hold.id, status, expected=before, reason=reason)
        await settle_stone(conn, hold.key, look)
        return moved or await holds.get_hold(conn, hold.id) or hold

    return await desk.transact(write)
