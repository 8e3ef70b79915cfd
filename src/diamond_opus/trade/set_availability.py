"""What a person here says of a stone: held or sold elsewhere, not for sale, or free again."""

from uuid import UUID

from diamond_opus.db.audit import record_act
from diamond_opus.db.pool import Connection
from diamond_opus.domain.grades import Availability
from diamond_opus.trade import holds, orders
from diamond_opus.trade.conflicts import not_available
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.model import (
    HOLD_TIME,
    HoldStatus,
    NoSuchStone,
    OrderStatus,
    TradeConflict,
    TradedStone,
    TradeForbidden,
)
from diamond_opus.trade.stones import (
    database_time,
    find_mark,
    find_stone,
    lock_stone,
    remove_mark,
    set_mark,
    settle_stone,
)


async def set_availability(
    desk: Desk,
    diamond_id: UUID,
    availability: Availability,
    *,
    hold_id: str | None,
    client: str,
    is_admin: bool,
) -> TradedStone:
    """Store the word of a person, audited; the supplier is not asked. Returns the stone as it is afterwards.

    Raises NoSuchStone, TradeConflict when a hold or an order of ours says otherwise, or TradeForbidden for what
    another client said.
    """

    async def write(conn: Connection) -> TradedStone:
        stone = await find_stone(conn, diamond_id)
        if stone is None or not stone.is_active:
            raise NoSuchStone(f"there is no diamond with the id {diamond_id}")
        await lock_stone(conn, stone.key)
        await _check_order(conn, stone, availability, client, is_admin=is_admin)
        await _check_mark(conn, stone, client, is_admin=is_admin)
        if availability is Availability.ON_HOLD:
            await _hold_by_hand(conn, stone, client, hold_id)
        else:
            await _end_hold_by_hand(conn, stone, client, is_admin=is_admin)
        await remove_mark(conn, stone.key)
        if availability in (Availability.SOLD, Availability.UNAVAILABLE):
            await set_mark(conn, stone.key, availability, client)
        said = {"availability": availability.value, "holdId": hold_id}
        await record_act(conn, actor=client, action="availability.set", subject=str(diamond_id), details=said)
        await settle_stone(conn, stone.key)
        return await find_stone(conn, diamond_id) or stone

    return await desk.transact(write)


async def _check_order(
    conn: Connection, stone: TradedStone, availability: Availability, client: str, *, is_admin: bool
) -> None:
    """An order of ours binds the stone; only one that was confirmed can be called off by hand, when it came back."""
    order = await orders.live_order(conn, stone.key)
    if order is None or (availability is Availability.SOLD and order.status is OrderStatus.CONFIRMED):
        return
    if is_admin and order.status is OrderStatus.CONFIRMED:
        await orders.resolve(
            conn,
            order.id,
            OrderStatus.RETURNED,
            expected=[OrderStatus.CONFIRMED],
            by=client,
            how="person",
            note=f"set to {availability} by hand",
        )
        return
    raise TradeConflict(
        f"the stone is bound by an order that is {order.status}",
        hint="An administrator settles it with POST /triggers/resolve-order.",
        details={"orderId": str(order.id)},
    )


async def _check_mark(conn: Connection, stone: TradedStone, client: str, *, is_admin: bool) -> None:
    marked_by = await find_mark(conn, stone.key)
    if marked_by is not None and marked_by != client and not is_admin:
        raise TradeForbidden("another client marked this stone")


async def _hold_by_hand(conn: Connection, stone: TradedStone, client: str, hold_id: str | None) -> None:
    if hold_id is not None:
        known = await holds.find_by_feed_hold(conn, stone.feed, hold_id)
        if known is not None and (known.client, known.key) != (client, stone.key):
            raise TradeForbidden("this hold id belongs to another stone or client")
    present = await holds.live_hold(conn, stone.key)
    if present is None:
        until = await database_time(conn) + HOLD_TIME
        if (
            await holds.insert_hold_by_hand(
                conn, stone, client=client, feed_hold_id=hold_id, hold_until=until
            )
            is None
        ):
            raise not_available("it is held already")
    elif present.client != client or not present.by_hand:
        raise TradeConflict("the stone is held already", details={"status": present.status.value})


async def _end_hold_by_hand(conn: Connection, stone: TradedStone, client: str, *, is_admin: bool) -> None:
    present = await holds.live_hold(conn, stone.key)
    if present is None:
        return
    if not present.by_hand:
        raise TradeConflict(
            "a hold at the supplier binds the stone",
            hint="End it with DELETE /diamonds/{id}/hold first.",
            details={"status": present.status.value},
        )
    if present.client != client and not is_admin:
        raise TradeForbidden("another client holds this stone")
    await holds.move_hold(
        conn, present.id, HoldStatus.RELEASED, expected=[HoldStatus.ACTIVE], reason="ended by hand"
    )
