"""How a person says what became of an order: after asking the supplier by other means, audited."""

from uuid import UUID

from diamond_opus.db.audit import record_act
from diamond_opus.db.pool import Connection
from diamond_opus.trade import holds, orders
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.model import NoSuchOrder, OrderRecord, OrderStatus, TradeConflict
from diamond_opus.trade.stones import lock_stone, settle_stone

#: What a person may say, and of which orders.
OUTCOMES = {
    OrderStatus.ORDERED: (OrderStatus.UNKNOWN,),
    OrderStatus.CONFIRMED: (OrderStatus.UNKNOWN, OrderStatus.ORDERED),
    OrderStatus.REFUSED: (OrderStatus.UNKNOWN, OrderStatus.ORDERED),
}


async def resolve_order(
    desk: Desk,
    order_id: UUID,
    outcome: OrderStatus,
    *,
    actor: str,
    note: str,
    feed_order_id: str | None = None,
) -> OrderRecord:
    """Settle an order by a person's word. Raises NoSuchOrder, or TradeConflict when there is nothing to settle."""

    async def write(conn: Connection) -> OrderRecord:
        found = await orders.get_order(conn, order_id)
        if found is None:
            raise NoSuchOrder(f"there is no order with the id {order_id}")
        await lock_stone(conn, found.key)
        resolved = await orders.resolve(
            conn,
            order_id,
            outcome,
            expected=OUTCOMES[outcome],
            by=actor,
            how="person",
            note=note,
            feed_order_id=feed_order_id,
        )
        if resolved is None:
            present = await orders.get_order(conn, order_id) or found
            raise TradeConflict(
                f"an order that is {present.status} cannot become {outcome}",
                hint="Only unknown orders, and the end of ordered ones, are settled by a person.",
                details={"orderId": str(order_id), "status": present.status.value},
            )
        if outcome is not OrderStatus.REFUSED:
            await holds.use_up(conn, found.key)
        details = {"from": found.status.value, "to": outcome.value, "note": note}
        await record_act(conn, actor=actor, action="order.resolve", subject=str(order_id), details=details)
        await settle_stone(conn, found.key)
        return resolved

    return await desk.transact(write)
