"""Ends sessions of processes that stand still, so that nobody waits for their locks."""

from collections.abc import Sequence
from datetime import timedelta

from psycopg.rows import scalar_row

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries

_QUERIES = load_queries("diamond_opus.db", "standstill.sql")


async def end_standing_sessions(conn: Connection, *, longest_seconds: float) -> Sequence[str]:
    """Undo transactions that hold rows and for whose client the server has waited so long; their application names.

    A process that wakes up later finds its connection broken, which every loop tries again.
    """
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            _QUERIES["end_standing_sessions"], {"longest": timedelta(seconds=longest_seconds)}
        )
        return await cursor.fetchall()
