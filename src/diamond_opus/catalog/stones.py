"""A single stone of the catalogue, and the version of everything that the catalogue shows."""

import hashlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import tuple_row

from diamond_opus.catalog.fields import answer_cursor, select_list
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

_QUERIES = load_queries(__package__)


async def get_diamond(conn: Connection, stone_id: UUID, *, with_cost: bool) -> Mapping[str, Any] | None:
    """The stone as an answer shows it (see ``fields.py``); None when there is none, or it was removed."""
    statement = sql.SQL("SELECT\n    {}\nFROM diamonds\nWHERE id = %(id)s\n  AND status = 'active'")
    async with answer_cursor(conn) as cursor:
        await cursor.execute(statement.format(select_list(with_cost=with_cost)), {"id": stone_id})
        return await cursor.fetchone()


async def dataset_version(conn: Connection) -> str | None:
    """A short text that changes whenever an answer could; None while nothing was ever recorded."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_QUERIES["dataset_versions"])
        versions = await cursor.fetchall()
    return hashlib.sha256(repr(versions).encode()).hexdigest()[:16] if versions else None
