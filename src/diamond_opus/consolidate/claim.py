"""Taking pending raw rows: locked, marked and read in one statement, and brought here by column.

The server answers with arrays, a row of them for every 64 stones. That costs our process 1.2 microseconds a stone;
a row for every stone costs 10, most of it for waking up at every 8 KB that the server sends. One row for all would cost
the server 6 more, in memory that it has to ask the system for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.numeric import Int8BinaryLoader
from psycopg.types.string import ByteaBinaryLoader

from diamond_opus.db.queries import load_queries
from diamond_opus.feeds.protocol import RawStone

_CLAIM = load_queries("diamond_opus.consolidate")["claim_batch"]


@dataclass(frozen=True, slots=True)
class Claimed:
    """Pending raw rows under lock, by column: what the mapper needs, what the diamond takes from them unchanged.

    Payload, id and time are the bytes and the number that they are on the wire. ``is_known`` says whether the
    stone's diamond exists already.
    """

    stone_ids: Sequence[str]
    offer_ids: Sequence[str]
    payloads: Sequence[bytes]
    asked_lab_grown: Sequence[bool]
    asked_price_from: Sequence[int]
    asked_price_to: Sequence[int | None]
    ids: Sequence[bytes]
    raw_hashes: Sequence[str]
    last_seen_at: Sequence[int]
    is_known: Sequence[bool]

    def __len__(self) -> int:
        return len(self.stone_ids)

    def raws(self) -> Iterator[RawStone]:
        return map(
            RawStone,
            self.stone_ids,
            self.offer_ids,
            self.payloads,
            self.asked_lab_grown,
            self.asked_price_from,
            self.asked_price_to,
        )


async def claim(
    conn: AsyncConnection[Any], feed: str, *, after: str, limit: int, only: Sequence[str] | None
) -> Claimed | None:
    """Up to ``limit`` pending stones with ids beyond ``after`` (or of ``only`` those); None if there is none."""
    async with conn.cursor(binary=True) as cursor:
        cursor.adapters.register_loader("json", ByteaBinaryLoader)
        cursor.adapters.register_loader("uuid", ByteaBinaryLoader)
        cursor.adapters.register_loader("timestamptz", Int8BinaryLoader)
        await cursor.execute(
            _CLAIM,
            {"feed": feed, "after": after, "limit": limit, "only": None if only is None else list(only)},
        )
        blocks = await cursor.fetchall()
    if not blocks:
        return None
    columns = zip(*blocks, strict=True)
    return Claimed(*(list(chain.from_iterable(column)) for column in columns))
