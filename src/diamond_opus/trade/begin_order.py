"""How a purchase begins: the answer that its key has already, or the intent, committed before anything is sent."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from diamond_opus.db.pool import Connection
from diamond_opus.domain.grades import Availability
from diamond_opus.trade import holds, orders
from diamond_opus.trade.conflicts import IN_FLIGHT_SECONDS, not_available
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.model import (
    HoldRecord,
    HoldStatus,
    NoSuchStone,
    NothingStored,
    OrderRecord,
    OrderStatus,
    StoredAnswer,
    TradeConflict,
    TradedStone,
)
from diamond_opus.trade.purchase import Purchase
from diamond_opus.trade.stones import find_stone, lock_stone, settle_stone

#: How an order is told to its caller; the first telling of a settled one is kept for ever.
Wording = Callable[[OrderRecord], StoredAnswer]


@dataclass(frozen=True, slots=True)
class Attempt:
    """An order that this process is sending now: nobody else has the token."""

    order: OrderRecord
    token: UUID
    stone: TradedStone
    in_catalogue: bool
    own_hold: HoldRecord | None


async def begin_order(
    desk: Desk,
    conn: Connection,
    diamond_id: UUID,
    purchase: Purchase,
    client: str,
    token: UUID,
    word: Wording,
    stranger: TradedStone | None,
    *,
    is_repeat: bool,
) -> Attempt | StoredAnswer:
    """The intent, or the answer that the key has already; for a repeat nothing but the answer."""
    found = await find_stone(conn, diamond_id)
    stone = found or stranger
    if stone is not None:
        await lock_stone(conn, stone.key)
        # What was read before the lock may be what another buyer has just changed.
        found = await find_stone(conn, diamond_id)
        stone = found or stranger
    earlier = await orders.find_by_key(conn, client, purchase.idempotency_key)
    if earlier is not None:
        answer = await _answer_of_key(conn, earlier, purchase.digest(diamond_id), word)
        if answer is not None:
            return answer
    if is_repeat:
        raise NothingStored("this purchase was not done, and its signature was used")
    if stone is None or not stone.is_active:
        raise NoSuchStone(f"there is no diamond with the id {diamond_id}")
    own_hold = await _check_free(conn, stone, client)
    if earlier is not None:
        order = await orders.restart_order(conn, earlier.id, stone, token=token, lease=desk.lease)
    else:
        order = await orders.insert_order(
            conn,
            stone,
            purchase,
            in_catalogue=found is not None,
            client=client,
            token=token,
            lease=desk.lease,
        )
    if order is None:
        # The same key came at the same moment for another stone, which the lock of this one does not stop.
        raise _in_flight()
    await settle_stone(conn, stone.key)
    return Attempt(order, token, stone, found is not None, own_hold)


async def answer_of(conn: Connection, order: OrderRecord, word: Wording) -> StoredAnswer:
    """What the order's key is told: the first telling of a settled order is kept, that of an unknown one is not."""
    if order.answer is None and order.status is not OrderStatus.UNKNOWN:
        order = await orders.store_answer(conn, order.id, word(order))
    return order.answer or word(order)


async def _answer_of_key(
    conn: Connection, earlier: OrderRecord, digest: str, word: Wording
) -> StoredAnswer | None:
    """What the key was told before; None when its order surely was not done. Raises TradeConflict."""
    if earlier.body_hash != digest:
        raise TradeConflict(
            "this idempotency key was used for another purchase",
            hint="Repeat a request with its own body, or send a new key with a new one.",
            details={"orderId": str(earlier.id)},
        )
    if earlier.status is OrderStatus.SENDING:
        raise _in_flight(earlier)
    if earlier.status is OrderStatus.FAILED:
        return None
    return await answer_of(conn, earlier, word)


async def _check_free(conn: Connection, stone: TradedStone, client: str) -> HoldRecord | None:
    """The caller's own hold, if there is one. Raises TradeConflict when the stone is not to be had."""
    if await orders.live_order(conn, stone.key) is not None:
        raise not_available("it is ordered already")
    hold = await holds.live_hold(conn, stone.key)
    if hold is None:
        if stone.availability != Availability.AVAILABLE:
            raise not_available(f"it is {stone.availability}")
        return None
    if hold.client != client:
        raise not_available("another client holds it")
    if hold.status is not HoldStatus.ACTIVE:
        raise not_available("your hold of it is not settled yet", retry_after_seconds=IN_FLIGHT_SECONDS)
    if stone.availability not in (Availability.AVAILABLE, Availability.ON_HOLD):
        raise not_available(f"it is {stone.availability}")
    return hold


def _in_flight(order: OrderRecord | None = None) -> TradeConflict:
    return TradeConflict(
        "this purchase is being sent at this moment",
        hint=f"Repeat the same request in {IN_FLIGHT_SECONDS} s to get its answer.",
        details={"orderId": str(order.id)} if order else None,
        retry_after_seconds=IN_FLIGHT_SECONDS,
    )
