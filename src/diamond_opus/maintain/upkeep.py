"""What has to be done regularly, and when it was: one row in ``upkeep`` for each task and time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.observability.redact import clean_text

QUERIES = load_queries("diamond_opus.maintain")

#: The task of ``diamond backup``, and of backups that were made elsewhere.
BACKUP = "backup"

_LONGEST_ERROR_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Newest:
    """When a task was begun last that succeeded, and that failed; ``now`` is the database's."""

    task: str
    now: datetime
    succeeded_at: datetime | None
    failed_at: datetime | None


async def begin(conn: Connection, task: str) -> int:
    """A row without an end: if it stays so, the process died."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["begin_upkeep"], {"task": task})
        [row_id] = await cursor.fetchall()
    return int(row_id)


async def end(
    conn: Connection, row_id: int, *, rows: int, details: Mapping[str, Any], error: str | None
) -> None:
    values = {"id": row_id, "rows": rows, "details": Jsonb(dict(details)), "error": _short(error)}
    await conn.execute(QUERIES["end_upkeep"], values)


async def record(
    conn: Connection,
    task: str,
    *,
    took: timedelta,
    details: Mapping[str, Any],
    error: str | None = None,
) -> None:
    """A row for something that is over just now, by the database's clock, and took so long."""
    values = {"task": task, "took": took, "details": Jsonb(dict(details)), "error": _short(error)}
    await conn.execute(QUERIES["record_upkeep"], values)


async def newest(conn: Connection, tasks: Sequence[str]) -> Sequence[Newest]:
    async with conn.cursor(row_factory=class_row(Newest)) as cursor:
        await cursor.execute(QUERIES["newest_upkeep"], {"tasks": list(tasks)})
        return await cursor.fetchall()


def _short(error: str | None) -> str | None:
    return None if error is None else clean_text(error, limit_bytes=_LONGEST_ERROR_BYTES)
