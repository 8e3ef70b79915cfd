"""How a stone is bought: written down, asked for its price, sent once, and the answer written down."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import psycopg

from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.db.pool import Connection
from diamond_opus.domain.errors import DiamondError
from diamond_opus.domain.grades import Availability
from diamond_opus.domain.money import is_ten_times_off
from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.trading import AnswerLost, OrderRequest, Refused
from diamond_opus.observability.logging import get_logger
from diamond_opus.pricing import InvalidRule, PricingEngine
from diamond_opus.trade import holds, orders
from diamond_opus.trade.begin_order import Attempt, Wording, answer_of, begin_order
from diamond_opus.trade.conflicts import not_available
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.look import Look, supplier_failed
from diamond_opus.trade.model import (
    OrderRecord,
    OrderStatus,
    StoredAnswer,
    SupplierFailed,
    TradeConflict,
    TradedStone,
)
from diamond_opus.trade.purchase import Purchase
from diamond_opus.trade.stones import lock_stone, settle_stone

log = get_logger(__name__)

_TOO_LATE = "the purchase took too long before it was sent; nothing was done"


async def order_stone(
    desk: Desk,
    diamond_id: UUID,
    purchase: Purchase,
    *,
    client: str,
    word: Wording,
    stranger: TradedStone | None = None,
    is_repeat: bool = False,
) -> StoredAnswer:
    """Buy a stone of the catalogue, or ``stranger``, a stone that is not in it; at most once a key, and once a stone.

    A known key gets the stored answer; ``is_repeat`` allows nothing else, and raises NothingStored. Raises NoSuchStone,
    TradeConflict (which says in details what is in the way), or SupplierFailed when nothing was done; after each of
    them the same key may be sent again.
    """
    token = uuid4()

    async def begin(conn: Connection) -> Attempt | StoredAnswer:
        return await begin_order(
            desk, conn, diamond_id, purchase, client, token, word, stranger, is_repeat=is_repeat
        )

    begun = await desk.transact(begin)
    if isinstance(begun, StoredAnswer):
        return begun

    async def renew() -> None:
        async with desk.pool.connection() as conn:
            await orders.renew_lease(conn, begun.order.id, begun.token, desk.lease)

    async with desk.keeping(renew):
        order = await _ask_price(desk, begun, purchase)
        return await _send(desk, begun, order, purchase, word)


async def _ask_price(desk: Desk, attempt: Attempt, purchase: Purchase) -> OrderRecord:
    """The order, now committed to be sent at the supplier's present price. Raises SupplierFailed or TradeConflict."""
    try:
        look = await desk.look(attempt.stone.key, attempt.stone if attempt.in_catalogue else None)
    except SupplierFailed:
        await _finish_as_failed(desk, attempt, "the supplier could not be asked for the price")
        raise
    try:
        price_cents = _check_offer(look, attempt)
        await _check_limit(desk, attempt.stone.feed, look, purchase)
    except TradeConflict as conflict:
        await _finish_as_failed(desk, attempt, str(conflict), look)
        raise
    if look.offer is None:
        raise RuntimeError("a stone with a price was not shown")
    offer = look.offer

    async def mark(conn: Connection) -> OrderRecord | None:
        return await orders.mark_sent(
            conn,
            attempt.order.id,
            token=attempt.token,
            offer_id=offer.offer_id,
            feed_price_cents=price_cents,
            order_item_before=offer.order_item_id,
            lease=desk.lease,
        )

    marked_from = asyncio.get_running_loop().time()
    order = await desk.transact(mark)
    if order is None:
        raise SupplierFailed(_TOO_LATE)
    if asyncio.get_running_loop().time() - marked_from > desk.lease_seconds:
        # This process stood still: others may count the order as lost already, and believe what the stone shows.
        await _finish_as_failed(desk, attempt, _TOO_LATE)
        raise SupplierFailed(_TOO_LATE)
    return order


def _check_offer(look: Look, attempt: Attempt) -> int:
    """What the stone costs now. Raises TradeConflict when it cannot be bought so."""
    if look.is_gone:
        raise not_available("the supplier has it no more")
    hold = attempt.own_hold
    is_ours = hold is not None and hold.feed_hold_id is not None and hold.feed_hold_id == look.hold_id
    if look.availability is not Availability.AVAILABLE and not (
        is_ours and look.availability is Availability.ON_HOLD
    ):
        raise not_available(f"the supplier says that it is {look.availability}")
    price_cents = look.price_cents
    known = attempt.stone.feed_price_cents
    # A price ten times more or less than the one we know is rather another unit than another price.
    if price_cents is None or (
        attempt.in_catalogue and is_ten_times_off(price_cents, known // 100, -(-known // 100))
    ):
        raise not_available("the supplier's present price cannot be used")
    return price_cents


async def _check_limit(desk: Desk, feed: str, look: Look, purchase: Purchase) -> None:
    """Raises TradeConflict when the stone has become dearer than its buyer allows."""
    limit = purchase.max_price_cents
    if limit is None or not isinstance(look.stone, Stone):
        return
    price_cents = look.stone.feed_price_cents
    if purchase.limits_selling_price:
        engine = PricingEngine()
        try:
            async with desk.pool.connection() as conn:
                await engine.load_rules(conn)
        except InvalidRule as error:
            raise TradeConflict("the pricing rules cannot be applied now; nothing was ordered") from error
        price_cents = engine.apply_pricing(look.stone, feed=feed).price_model_price_cents
    if price_cents > limit:
        raise TradeConflict(
            "the stone costs more than maxPriceCents now; nothing was ordered",
            hint="Raise maxPriceCents under a new idempotency key, or choose another stone.",
            details={"maxPriceCents": limit},
            confidential={"feedPriceCents": look.price_cents},
        )


async def _send(
    desk: Desk, attempt: Attempt, order: OrderRecord, purchase: Purchase, word: Wording
) -> StoredAnswer:
    """The one and only call, and what came of it."""
    request = OrderRequest(
        order.offer_id,
        purchase.destination_id,
        purchase.reference,
        purchase.comments,
        purchase.return_option,
    )
    feed_order_id: str | None = None
    reason: str | None = None
    try:
        feed_order_id = await desk.trader(order.feed).create_order(request)
        status = OrderStatus.ORDERED
    except Refused as error:
        status, reason = OrderStatus.REFUSED, str(error)
    except AnswerLost as error:
        log.warning("order_answer_lost", order_id=str(order.id), reason=str(error))
        status, reason = OrderStatus.UNKNOWN, str(error)
    except asyncio.CancelledError:
        return _tell_lost(order, word, "the process was stopped before the supplier's answer")
    except DiamondError as error:
        await _finish_as_failed(desk, attempt, str(error))
        raise supplier_failed(error) from error
    try:
        return await _finish(desk, attempt, status, word, feed_order_id=feed_order_id, reason=reason)
    except (psycopg.Error, DatabaseUnavailable, asyncio.CancelledError) as error:
        reason = f"the supplier's answer ({status}) could not be written down: {error!r}"
        return _tell_lost(order, word, reason, feed_order_id)


def _tell_lost(
    order: OrderRecord, word: Wording, reason: str, feed_order_id: str | None = None
) -> StoredAnswer:
    """The order may have been taken and nothing of it is written: the row's lease lapses, and it becomes unknown."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        task.uncancel()  # there is just time left to say so
    log.error("order_outcome_lost", order_id=str(order.id), reason=reason, feed_order_id=feed_order_id)
    return word(replace(order, status=OrderStatus.UNKNOWN, feed_order_id=feed_order_id))


async def _finish(
    desk: Desk,
    attempt: Attempt,
    status: OrderStatus,
    word: Wording,
    *,
    feed_order_id: str | None = None,
    reason: str | None = None,
) -> StoredAnswer:
    """Write the outcome down, and the answer with it."""

    async def write(conn: Connection) -> StoredAnswer | None:
        await lock_stone(conn, attempt.stone.key)
        order = await orders.finish_order(
            conn,
            attempt.order.id,
            status,
            token=attempt.token,
            feed_order_id=feed_order_id,
            reason=reason,
        )
        if order is None:
            return None
        if status is OrderStatus.ORDERED:
            await holds.use_up(conn, order.key)
        answer = await answer_of(conn, order, word)
        await settle_stone(conn, attempt.stone.key)
        return answer

    answer = await desk.transact(write)
    log.info("order_answered", order_id=str(attempt.order.id), status=status.value)
    return answer or await _tell_settled(desk, attempt, status, word, feed_order_id)


async def _tell_settled(
    desk: Desk, attempt: Attempt, status: OrderStatus, word: Wording, feed_order_id: str | None
) -> StoredAnswer:
    """The answer came after somebody else settled the order: their word stays, and a contradiction is reported."""
    async with desk.pool.connection() as conn:
        order = await orders.get_order(conn, attempt.order.id)
        if order is None:
            raise RuntimeError(f"order {attempt.order.id} is not there any more")
        if status is OrderStatus.ORDERED and order.status not in (OrderStatus.ORDERED, OrderStatus.CONFIRMED):
            await desk.alerts.raise_alert(_contradiction(order, feed_order_id))
        return await answer_of(conn, order, word)


async def _finish_as_failed(desk: Desk, attempt: Attempt, reason: str, look: Look | None = None) -> None:
    """The order surely was not done: its stone is free again, as far as the supplier says so."""

    async def write(conn: Connection) -> None:
        await lock_stone(conn, attempt.stone.key)
        await orders.finish_order(
            conn, attempt.order.id, OrderStatus.FAILED, token=attempt.token, reason=reason
        )
        await settle_stone(conn, attempt.stone.key, look)

    await desk.transact(write)


def _contradiction(order: OrderRecord, feed_order_id: str | None) -> Alert:
    return Alert(
        Severity.CRITICAL,
        "order_contradicted",
        f"Order {order.id} is {order.status} here, but the supplier took it",
        f"The supplier answered late with its order id {feed_order_id}, after the order had been settled as "
        f"{order.status}. The stone may be ordered.",
        subject=str(order.id),
        since=order.sent_at,
        stones=1,
        cause="The order was settled by hand before its answer came.",
        action="Cancel at the supplier what is not wanted, then: diamond alerts list, diamond alerts resolve ID",
        page="/orders",
        fields={"orderId": str(order.id), "feed": order.feed, "feedOrderId": feed_order_id},
    )
