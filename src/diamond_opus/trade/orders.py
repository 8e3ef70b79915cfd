"""The ledger of orders: every read and write of ``purchase_history``."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import kwargs_row

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.money import cents_to_dollars
from diamond_opus.trade.model import OrderRecord, OrderStatus, StoneKey, StoredAnswer, TradedStone
from diamond_opus.trade.purchase import Purchase

#: In the order of ``OrderRecord``.
COLUMNS = sql.SQL(
    "id, diamond_id, feed, supplier_stone_id, offer_id, client, idempotency_key, body_hash, status, feed_order_id,"
    " reference, comments, destination_id, return_option, (max_price * 100)::bigint AS max_price_cents,"
    " (feed_price * 100)::bigint AS feed_price_cents, order_item_before, reason, sent_at, free_since, reported_at,"
    " resolved_by, resolved_at, resolved_how, resolution_note, answer_status, answer_body, created_at, updated_at"
)
_QUERIES = {
    name: sql.SQL(text).format(columns=COLUMNS)
    for name, text in load_queries(__package__, "orders.sql").items()
}


async def find_by_key(conn: Connection, client: str, key: str) -> OrderRecord | None:
    """What a client's idempotency key stands for."""
    return await _fetch_one(conn, "find_by_key", {"client": client, "idempotency_key": key})


async def live_order(conn: Connection, key: StoneKey) -> OrderRecord | None:
    """The order that may bind the stone now."""
    return await _fetch_one(conn, "live_order", _stone(key))


async def get_order(conn: Connection, order_id: UUID) -> OrderRecord | None:
    return await _fetch_one(conn, "get_order", {"id": order_id})


async def insert_order(
    conn: Connection,
    stone: TradedStone,
    purchase: Purchase,
    *,
    in_catalogue: bool,
    client: str,
    token: UUID,
    lease: timedelta,
) -> OrderRecord | None:
    """The intent to order; None when the key is known or another order of the stone is live."""
    return await _fetch_one(
        conn,
        "insert_order",
        {
            "diamond_id": stone.id if in_catalogue else None,
            "feed": stone.feed,
            "supplier_stone_id": stone.supplier_stone_id,
            "offer_id": stone.offer_id,
            "client": client,
            "idempotency_key": purchase.idempotency_key,
            "body_hash": purchase.digest(stone.id),
            "reference": purchase.reference,
            "comments": purchase.comments,
            "destination_id": purchase.destination_id,
            "return_option": purchase.return_option,
            "max_price": _dollars(purchase.max_price_cents),
            "lease_token": token,
            "lease": lease,
        },
    )


async def restart_order(
    conn: Connection, order_id: UUID, stone: TradedStone, *, token: UUID, lease: timedelta
) -> OrderRecord | None:
    """A new try of an order that surely was not done; None when it is not in that state (any more)."""
    values = {"id": order_id, "offer_id": stone.offer_id, "lease_token": token, "lease": lease}
    return await _fetch_one(conn, "restart_order", values)


async def mark_sent(
    conn: Connection,
    order_id: UUID,
    *,
    token: UUID,
    offer_id: str,
    feed_price_cents: int,
    order_item_before: str | None,
    lease: timedelta,
) -> OrderRecord | None:
    """The last word before the order leaves; None when it must not leave, because the attempt was given up."""
    values = {
        "id": order_id,
        "lease_token": token,
        "offer_id": offer_id,
        "feed_price": _dollars(feed_price_cents),
        "order_item_before": order_item_before,
        "lease": lease,
    }
    return await _fetch_one(conn, "mark_sent", values)


async def finish_order(
    conn: Connection,
    order_id: UUID,
    status: OrderStatus,
    *,
    token: UUID,
    feed_order_id: str | None = None,
    reason: str | None = None,
) -> OrderRecord | None:
    """What became of this attempt; None when somebody else settled the order meanwhile."""
    values = {
        "id": order_id,
        "lease_token": token,
        "status": status.value,
        "feed_order_id": feed_order_id,
        "reason": reason,
    }
    return await _fetch_one(conn, "finish_order", values)


async def store_answer(conn: Connection, order_id: UUID, answer: StoredAnswer) -> OrderRecord:
    """Keep what the caller is told; the first answer stays. Returns the order with the answer that counts."""
    values = {"id": order_id, "answer_status": answer.status, "answer_body": answer.body}
    stored = await _fetch_one(conn, "store_answer", values) or await get_order(conn, order_id)
    if stored is None:
        raise RuntimeError(f"order {order_id} is not there any more")
    return stored


async def renew_lease(conn: Connection, order_id: UUID, token: UUID, lease: timedelta) -> None:
    await conn.execute(_QUERIES["renew_order_lease"], {"id": order_id, "lease_token": token, "lease": lease})


async def lapse(conn: Connection, key: StoneKey) -> Sequence[OrderRecord]:
    """An order whose sender is gone: failed when it never left, else unknown."""
    return await _fetch_all(conn, "lapse_orders", _stone(key))


async def unreported(conn: Connection) -> Sequence[OrderRecord]:
    return await _fetch_all(conn, "unreported_orders", {})


async def mark_reported(conn: Connection, order_id: UUID) -> None:
    await conn.execute(_QUERIES["mark_order_reported"], {"id": order_id})


async def to_look_at(
    conn: Connection, *, soonest: timedelta, latest: timedelta, limit: int
) -> Sequence[OrderRecord]:
    """Orders of which only the supplier can tell what became."""
    return await _fetch_all(conn, "orders_to_look_at", {"soonest": soonest, "latest": latest, "limit": limit})


async def note_look(conn: Connection, order_id: UUID, *, is_free: bool, asked_at: datetime) -> None:
    """Note a look; since when the stone has been free is kept as long as it is."""
    await conn.execute(
        _QUERIES["note_order_look"], {"id": order_id, "is_free": is_free, "asked_at": asked_at}
    )


async def note_silence(conn: Connection, order_id: UUID) -> None:
    """Note that the supplier was asked and did not answer: others are asked about first."""
    await conn.execute(_QUERIES["note_order_silence"], {"id": order_id})


async def resolve(
    conn: Connection,
    order_id: UUID,
    status: OrderStatus,
    *,
    expected: Collection[OrderStatus],
    by: str,
    how: str,
    note: str | None,
    feed_order_id: str | None = None,
) -> OrderRecord | None:
    """What became of it after all, who says so and how (``evidence`` or ``person``); None when not expected."""
    values = {
        "id": order_id,
        "status": status.value,
        "expected": [state.value for state in expected],
        "resolved_by": by,
        "resolved_how": how,
        "note": note,
        "feed_order_id": feed_order_id,
    }
    return await _fetch_one(conn, "resolve_order", values)


async def _fetch_one(conn: Connection, query: str, parameters: dict[str, Any]) -> OrderRecord | None:
    async with conn.cursor(row_factory=kwargs_row(order_of_row)) as cursor:
        await cursor.execute(_QUERIES[query], parameters)
        return await cursor.fetchone()


async def _fetch_all(conn: Connection, query: str, parameters: dict[str, Any]) -> Sequence[OrderRecord]:
    async with conn.cursor(row_factory=kwargs_row(order_of_row)) as cursor:
        await cursor.execute(_QUERIES[query], parameters)
        return await cursor.fetchall()


def order_of_row(*, status: str, **columns: Any) -> OrderRecord:
    return OrderRecord(status=OrderStatus(status), **columns)


def _dollars(cents: int | None) -> Any:
    return None if cents is None else cents_to_dollars(cents)


def _stone(key: StoneKey) -> dict[str, Any]:
    return {"feed": key.feed, "supplier_stone_id": key.supplier_stone_id}
