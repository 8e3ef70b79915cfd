"""Telling which diamonds a transaction changed: everybody who writes to ``diamonds`` begins and ends with these.

A writer that does not is noticed by the database (migrations/0005_dataset_changes.sql), and costs every copy of the
catalogue a whole reading.
"""

from collections.abc import Collection
from uuid import UUID

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

_QUERIES = load_queries("diamond_opus.db", "changes.sql")


async def announce_changes(conn: Connection) -> None:
    """First in the transaction: what it changes is told at its end."""
    await conn.execute(_QUERIES["announce_changes"])


async def record_changes(conn: Connection, feed: str, diamond_ids: Collection[UUID]) -> None:
    """Last in the transaction: whoever else changes the feed waits from here to the commit.

    Raises the feed's version, unless nothing changed.
    """
    await record_packed_changes(conn, feed, b"".join(one.bytes for one in diamond_ids))


async def record_packed_changes(conn: Connection, feed: str, packed_ids: bytes) -> None:
    """The same for bulk work: 16 bytes for each id, one after another. A list of them costs 4 microseconds an id."""
    await conn.execute(_QUERIES["record_changes"], {"feed": feed, "ids": packed_ids})
