"""How rows become answers: column names in camelCase, values as orjson writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, LiteralString

from psycopg import sql
from psycopg.rows import dict_row, scalar_row

from diamond_opus.db.pool import Connection

Answer = dict[str, Any]
Query = LiteralString | sql.Composed


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one page, and how many there are in all."""

    rows: Sequence[Answer]
    total: int


@cache
def camel(name: str) -> str:
    """
    >>> camel("last_updated_at")
    'lastUpdatedAt'
    """
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def answer(row: Mapping[str, Any]) -> Answer:
    return {camel(name): value for name, value in row.items()}


async def fetch_all(
    conn: Connection, query: Query, values: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The rows by column name, as they are."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def fetch_answers(
    conn: Connection, query: Query, values: Mapping[str, Any] | None = None
) -> list[Answer]:
    return [answer(row) for row in await fetch_all(conn, query, values)]


async def fetch_value(conn: Connection, query: Query, values: Mapping[str, Any] | None = None) -> Any:
    """The one value of the one row; None without a row."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchone()


async def fetch_page(
    conn: Connection,
    rows_query: Query,
    count_query: Query,
    values: Mapping[str, Any],
    *,
    limit: int,
    offset: int,
) -> Page:
    """Both queries take the same ``values``; the first one ``limit`` and ``offset`` as well."""
    total = await fetch_value(conn, count_query, values)
    rows = await fetch_answers(conn, rows_query, {**values, "limit": limit, "offset": offset})
    return Page(rows, int(total))
