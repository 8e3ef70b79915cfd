"""How columns come out of the database: as binary arrays, read without looking at a single value.

A million stones take about 5 s of the server's time and half a second here; rows through the driver would take a
minute and a gigabyte.
"""

from collections.abc import AsyncIterator, Mapping
from itertools import pairwise
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncCursor, sql
from psycopg.postgres import types
from psycopg.rows import dict_row
from psycopg.types.string import ByteaBinaryLoader

from diamond_opus.catalog.index.columns import NUMBERS, TEXTS, Columns, Ids, Words, join, take
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

QUERIES = load_queries("diamond_opus.catalog.index")

#: Stones in one answer: five megabytes of arrays.
_STONES_AT_ONCE = 16_384

_CHANGED_IDS = QUERIES["changed_ids"].rstrip().removesuffix(";")

_HEADER_BYTES = 20  # dimensions, nulls, type, length, lower bound
_ARRAYS = ("uuid", "int8", "int4", "int2", "timestamptz")


async def read_all(conn: Connection, words: Words, *, at_once: int) -> AsyncIterator[Columns]:
    """Every stone on sale, in pieces of about ``at_once`` stones. ``conn`` must be in a snapshot."""
    stones = await _count(conn)
    parts: list[Columns] = []
    for first, last in _id_ranges(stones):
        between = sql.SQL("id BETWEEN %(first)s AND %(last)s")
        part = await _read(conn, words, between, {"first": first, "last": last})
        if part is not None:
            parts.append(part)
        if sum(map(len, parts)) >= at_once:
            yield join(parts)
            parts = []
    if parts:
        yield join(parts)


def held(versions: Mapping[str, int]) -> Mapping[str, Any]:
    """What queries ask behind: the versions that somebody has, by feed."""
    return {"feeds": list(versions), "versions": list(versions.values())}


async def read_changed_ids(conn: Connection, versions: Mapping[str, int]) -> Ids:
    """The stones that changed behind these versions."""
    async with _array_cursor(conn) as cursor:
        await cursor.execute(QUERIES["changed_ids"], held(versions))
        row = await cursor.fetchone()
    if row is None or row["ids"] is None:
        return Ids(np.empty(0, np.uint64), np.empty(0, np.uint64))
    return _ids(row["ids"])


async def read_changed(conn: Connection, words: Words, versions: Mapping[str, int]) -> Columns | None:
    """Those of them that are on sale; None when none is. The server looks them up itself: a list of ids that came
    through here would cost more than the stones.
    """
    changed = sql.SQL("id = ANY (({})::uuid[])").format(sql.SQL(_CHANGED_IDS))
    return await _read(conn, words, changed, held(versions))


async def _read(
    conn: Connection, words: Words, stones: sql.Composable, values: Mapping[str, Any]
) -> Columns | None:
    statement = sql.SQL(QUERIES["read_columns"]).format(stones=stones)
    async with _array_cursor(conn) as cursor:
        await cursor.execute(statement, values)
        row = await cursor.fetchone()
    if row is None or row["id"] is None:
        return None
    ids = _ids(row["id"])
    digests = {name: _values(row[name], ">i8").astype(np.int64) for name in TEXTS}
    await _learn(conn, words, ids, digests)
    columns = Columns(
        ids.high,
        ids.low,
        {name: words.encode(name, digests[name]) for name in TEXTS},
        _values(row["facts"], ">i2").astype(np.int16),
        {
            name: _values(row[name], np.dtype(kept).newbyteorder(">")).astype(kept)
            for name, kept in NUMBERS.items()
        },
    )
    return take(columns, np.lexsort((columns.low, columns.high)))


async def _learn(conn: Connection, words: Words, ids: Ids, digests: Mapping[str, NDArray[np.int64]]) -> None:
    """Ask what new digests stand for: of one stone for each, whatever there are of them."""
    examples: dict[bytes, list[tuple[str, int]]] = {}
    for name, column in digests.items():
        distinct, rows = np.unique(column, return_index=True)
        for digest in words.unknown(name, distinct).tolist():
            row = rows[np.searchsorted(distinct, digest)]
            examples.setdefault(ids.id_of(row), []).append((name, digest))
    if not examples:
        return
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["read_texts"], {"ids": [UUID(bytes=one) for one in examples]})
        for row in await cursor.fetchall():
            for name, digest in examples[row["id"].bytes]:
                words.learn(name, digest, row[name])


async def _count(conn: Connection) -> int:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["count_on_sale"])
        row = await cursor.fetchone()
    return int(row["stones"]) if row else 0


def _id_ranges(stones: int) -> list[tuple[UUID, UUID]]:
    """Ids are digests and so spread evenly: equal ranges of them hold about the same number of stones."""
    parts = max(1, stones // _STONES_AT_ONCE)
    edges = [(1 << 128) * part // parts for part in range(parts + 1)]
    return [(UUID(int=low), UUID(int=high - 1)) for low, high in pairwise(edges)]


def _array_cursor(conn: Connection) -> AsyncCursor[dict[str, Any]]:
    """A cursor that hands over arrays as the bytes they come in."""
    cursor = conn.cursor(row_factory=dict_row, binary=True)
    for name in _ARRAYS:
        cursor.adapters.register_loader(types[name].array_oid, ByteaBinaryLoader)
    return cursor


def _ids(array: bytes) -> Ids:
    words = _values(array, ">u8,>u8")
    return Ids(words["f0"].astype(np.uint64), words["f1"].astype(np.uint64))


def _values(array: bytes, kind: Any) -> NDArray[Any]:
    """The values of a one-dimensional array without nulls: after the header, each has its length before it."""
    dtype = np.dtype(kind)
    field = np.dtype([("length", ">i4"), ("value", dtype)])
    values: NDArray[Any] = np.frombuffer(array, field, offset=_HEADER_BYTES)["value"]
    return values
