"""A single stone of the catalogue, and the supplier's answer behind it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row

from diamond_opus.catalog.fields import answer_cursor, select_list
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

_QUERIES = load_queries("diamond_opus.catalog")


async def get_diamond(conn: Connection, stone_id: UUID, *, with_cost: bool) -> Mapping[str, Any] | None:
    """The stone as an answer shows it (see ``fields.py``); None when there is none, or it was removed."""
    statement = sql.SQL("SELECT\n    {}\nFROM diamonds\nWHERE id = %(id)s\n  AND status = 'active'")
    async with answer_cursor(conn) as cursor:
        await cursor.execute(statement.format(select_list(with_cost=with_cost)), {"id": stone_id})
        return await cursor.fetchone()


async def get_raw_answer(conn: Connection, stone_id: UUID) -> dict[str, Any] | None:
    """The newest raw row behind a stone under its JSON names; ``payload`` is the text as it was received."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_QUERIES["raw_answer"], {"id": stone_id})
        row = await cursor.fetchone()
    return None if row is None else {_camel(name): value for name, value in row.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))
