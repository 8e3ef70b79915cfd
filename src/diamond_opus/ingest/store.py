"""Raw answers into ``raw_diamonds``: once per stone, the newest answer wins, nothing is truncated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Json

from diamond_opus.db import copy
from diamond_opus.db.errors import REFUSED_VALUES
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.ids import diamond_id_bytes
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import RawItem, Unreadable

QUERIES = load_queries("diamond_opus.ingest")

_INCOMING = copy.BinaryRows(
    copy.text(varied=True),  # supplier_stone_id
    copy.uuid(),  # id
    copy.text(varied=True),  # offer_id
    copy.json(),  # payload
    copy.text(varied=True),  # payload_hash
    copy.timestamptz(),  # fetched_at
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A stone as received, and when its page was asked for (database time)."""

    item: RawItem
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """``unchanged`` were only marked as seen; ``refused`` are what the database cannot hold."""

    unchanged: int
    refused: Sequence[Unreadable]


async def store_stones(
    conn: AsyncConnection[Any], feed: str, run_id: UUID, asked: Selection, stones: Sequence[Fetched]
) -> Stored:
    """Upsert stones in the caller's transaction; each id may stand in ``stones`` once.

    What PostgreSQL refuses to hold (text it cannot store, JSON nested too deep, an id too long for an index) is found
    by halving and handed back, so that one bad payload costs itself only.
    """
    if not stones:
        return Stored(0, ())
    try:
        async with conn.transaction():
            return Stored(await _upsert(conn, feed, run_id, asked, stones), ())
    except REFUSED_VALUES as error:
        if len(stones) == 1:
            item = stones[0].item
            reason = f"the database refuses the payload: {error.diag.message_primary or error}"
            return Stored(0, (Unreadable(reason, "$", item.payload),))
    half = len(stones) // 2
    first = await store_stones(conn, feed, run_id, asked, stones[:half])
    second = await store_stones(conn, feed, run_id, asked, stones[half:])
    return Stored(first.unchanged + second.unchanged, (*first.refused, *second.refused))


async def _upsert(
    conn: AsyncConnection[Any], feed: str, run_id: UUID, asked: Selection, stones: Sequence[Fetched]
) -> int:
    await conn.execute(QUERIES["create_incoming"])
    async with conn.cursor() as cursor:
        async with cursor.copy(QUERIES["copy_incoming"]) as incoming:
            for piece in _as_copy(feed, stones):
                await incoming.write(piece)
        await cursor.execute(
            QUERIES["store_incoming"],
            {
                "feed": feed,
                "run_id": run_id,
                "lab_grown": asked.lab_grown,
                "price_from": asked.price_from,
                "price_to": asked.price_to,
            },
        )
        row = await cursor.fetchone()
        await cursor.execute("DROP TABLE incoming")
    return int(row[0]) if row else 0


def _as_copy(feed: str, stones: Sequence[Fetched]) -> Iterator[bytes]:
    """Column by column: 5.8 microseconds a stone of our time with its statements, against 8.0 row by row."""
    items = [stone.item for stone in stones]
    ids = [item.supplier_stone_id for item in items]
    columns: list[Sequence[Any]] = [
        ids,
        [diamond_id_bytes(feed, stone_id) for stone_id in ids],
        [item.offer_id for item in items],
        [item.payload for item in items],
        [item.payload_hash for item in items],
        [stone.fetched_at for stone in stones],
    ]
    return _INCOMING.stream([columns])


async def store_unreadable(
    conn: AsyncConnection[Any], feed: str, run_id: UUID, rows: Sequence[tuple[str, Unreadable]]
) -> None:
    """Quarantine items without a usable identity under made-up ids (run, partition, position)."""
    if not rows:
        return
    async with conn.cursor() as cursor:
        await cursor.executemany(
            QUERIES["store_unreadable"],
            [
                {
                    "feed": feed,
                    "supplier_stone_id": made_up_id,
                    "run_id": run_id,
                    "reason": row.reason,
                    "json_path": row.json_path,
                    "payload": Json(row.payload.decode("utf-8", "backslashreplace")),
                }
                for made_up_id, row in rows
            ],
        )
