"""The whole catalogue, or what some filters leave of it, as a stream: constant memory, one snapshot.

The database writes the lines; here they only pass through. A million stones take about 20 s.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, LiteralString

from psycopg import sql
from psycopg.rows import scalar_row

from diamond_opus.catalog.fields import shown_fields
from diamond_opus.catalog.filters import bind, conditions
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

_QUERIES = load_queries("diamond_opus.catalog")

#: How the sessions of exports are known to the database.
EXPORT_APPLICATION = "diamond export"

#: Small pieces are joined before they are handed on: a line for each would cost more than the line.
_PIECE_BYTES = 64 * 1024


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


_COPY: Mapping[Format, LiteralString] = {
    Format.CSV: "COPY ({rows}) TO STDOUT (FORMAT csv, HEADER)",
    Format.NDJSON: "COPY (SELECT row_to_json(stone) FROM ({rows}) AS stone) TO STDOUT",
}


async def read_as_of(conn: Connection) -> datetime:
    """From when on a later reader has to ask so as to miss nothing; call it before the snapshot is taken."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(_QUERIES["as_of"], {"readers": EXPORT_APPLICATION})
        moment: datetime | None = await cursor.fetchone()
    if moment is None:
        raise RuntimeError("the database did not tell its time")
    return moment


async def export_stones(
    conn: Connection, filters: Mapping[str, Any], output: Format, *, names: tuple[str, ...], with_cost: bool
) -> AsyncIterator[bytes]:
    """The lines of every stone that meets the filters, in no particular order."""
    where = conditions(filters) or [sql.SQL("TRUE")]
    rows = sql.SQL("SELECT {} FROM diamonds WHERE {}").format(
        _select_list(names, with_cost=with_cost), sql.SQL(" AND ").join(where)
    )
    statement = sql.SQL(_COPY[output]).format(rows=rows)
    async with conn.cursor() as cursor, cursor.copy(statement, bind(filters)) as copy:
        pieces: list[bytes] = []
        size = 0
        async for line in copy:
            # The text format of COPY doubles backslashes; JSON has no other character that it would change.
            piece = bytes(line) if output is Format.CSV else bytes(line).replace(b"\\\\", b"\\")
            pieces.append(piece)
            size += len(piece)
            if size >= _PIECE_BYTES:
                yield b"".join(pieces)
                pieces, size = [], 0
        yield b"".join(pieces)


def _select_list(names: tuple[str, ...], *, with_cost: bool) -> sql.SQL:
    fields = shown_fields(with_cost=with_cost, names=names)
    return sql.SQL(
        ", ".join(_exported(field.source, field.is_time) + ' AS "' + field.name + '"' for field in fields)
    )


def _exported(source: LiteralString, is_time: bool) -> LiteralString:
    """Times as ISO 8601 in UTC, as everywhere in the API."""
    if not is_time:
        return source
    return "to_char(" + source + " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
