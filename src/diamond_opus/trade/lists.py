"""Pages of orders and holds: whose, in which states, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.rows import kwargs_row, scalar_row

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.trade import holds, orders
from diamond_opus.trade.model import HoldRecord, OrderRecord

_QUERIES = load_queries(__package__, "lists.sql")


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Which rows are listed; empty and None mean any."""

    client: str | None = None
    feed: str | None = None
    diamond_id: UUID | None = None
    statuses: Sequence[str] = ()


_CONDITIONS: Sequence[tuple[str, LiteralString]] = (
    ("client", "client = %(client)s"),
    ("feed", "feed = %(feed)s"),
    ("diamond_id", "diamond_id = %(diamond_id)s"),
    ("statuses", "status = ANY (%(statuses)s)"),
)


async def list_orders(
    conn: Connection, chosen: TradeFilter, *, offset: int, limit: int, open_first: bool = False
) -> tuple[Sequence[OrderRecord], int]:
    """A page of orders, the newest first, and how many there are in all."""
    query, parameters = _query("list_orders", chosen)
    async with conn.cursor(row_factory=kwargs_row(orders.order_of_row)) as cursor:
        await cursor.execute(
            query, {**parameters, "offset": offset, "limit": limit, "open_first": open_first}
        )
        rows = await cursor.fetchall()
    return rows, await _count(conn, "count_orders", chosen)


async def list_holds(
    conn: Connection, chosen: TradeFilter, *, offset: int, limit: int, open_first: bool = False
) -> tuple[Sequence[HoldRecord], int]:
    """A page of holds, the newest first, and how many there are in all."""
    query, parameters = _query("list_holds", chosen)
    async with conn.cursor(row_factory=kwargs_row(holds.hold_of_row)) as cursor:
        await cursor.execute(
            query, {**parameters, "offset": offset, "limit": limit, "open_first": open_first}
        )
        rows = await cursor.fetchall()
    return rows, await _count(conn, "count_holds", chosen)


async def _count(conn: Connection, name: str, chosen: TradeFilter) -> int:
    query, parameters = _query(name, chosen)
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, parameters)
        total: int | None = await cursor.fetchone()
    return total or 0


def _query(name: str, chosen: TradeFilter) -> tuple[sql.Composed, dict[str, Any]]:
    """The statement with the conditions that are asked for, and their parameters."""
    given = {
        field: list(value) if field == "statuses" else value
        for field, _ in _CONDITIONS
        if (value := getattr(chosen, field))
    }
    conditions = [sql.SQL(text) for field, text in _CONDITIONS if field in given]
    where = sql.SQL("\n  AND ").join(conditions or [sql.SQL("TRUE")])
    statement = sql.SQL(_QUERIES[name]).format(
        order_columns=orders.COLUMNS, hold_columns=holds.COLUMNS, where=where
    )
    return statement, given
