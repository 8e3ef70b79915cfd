"""Measures how long the pipeline stands still after each fault, and how long the work of the dead lies about."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg

_LOOK_SECONDS = 0.2

#: Anything of this changes while anything moves.
_PROGRESS = """
    SELECT string_agg(state, ',' ORDER BY started_at), sum(consolidation_processed),
        (SELECT sum(pages_read + attempts) FROM partition_progress),
        (SELECT count(*) FROM partition_progress WHERE state = 'completed'),
        (SELECT count(*) FROM removal_candidates WHERE state <> 'frozen'),
        bool_and(state IN ('completed', 'failed', 'cancelled'))
    FROM run_metadata"""

#: Work whose holder let its lease lapse, by the holder's token, and since how many seconds.
_ORPHANS = """
    SELECT p.lease_token::text, extract(EPOCH FROM clock_timestamp() - p.lease_expires_at)::float8
    FROM partition_progress AS p
    JOIN run_metadata AS r USING (run_id)
    WHERE p.state = 'running' AND p.lease_expires_at < clock_timestamp() AND r.state = 'ingesting'
    UNION ALL
    SELECT finalise_token::text, extract(EPOCH FROM clock_timestamp() - finalise_expires_at)::float8
    FROM run_metadata
    WHERE state = 'consolidating' AND finalise_expires_at < clock_timestamp()"""


class Monitor:
    """``healed`` tells it of an end; ``recoveries`` are the seconds until something moved again, one for each.

    ``orphaned`` are the seconds for which each piece of work lay about after its holder's lease had lapsed, while no
    fault went on (``is_disturbed``).
    """

    def __init__(self, url: str, is_disturbed: Callable[[], bool]) -> None:
        self._url = url
        self._is_disturbed = is_disturbed
        self._waiting: list[float] = []
        self._calm_since = 0.0
        self._orphans: dict[str, float] = {}
        self.recoveries: list[float] = []

    @property
    def orphaned(self) -> list[float]:
        return list(self._orphans.values())

    def healed(self) -> None:
        self._waiting.append(time.monotonic())

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        last: Any = None
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as conn:
                    while True:
                        row = await (await conn.execute(_PROGRESS)).fetchone()
                        if row != last or (row and row[-1]):
                            now = time.monotonic()
                            self.recoveries += [now - healed for healed in self._waiting]
                            self._waiting.clear()
                        last = row
                        await self._count_orphans(conn)
                        await asyncio.sleep(_LOOK_SECONDS)
            self._calm_since = time.monotonic()  # a server that is away disturbs
            await asyncio.sleep(_LOOK_SECONDS)

    async def _count_orphans(self, conn: psycopg.AsyncConnection[Any]) -> None:
        found = await (await conn.execute(_ORPHANS)).fetchall()
        now = time.monotonic()
        if self._is_disturbed():
            self._calm_since = now
        for token, seconds in found:
            since = min(seconds, now - self._calm_since)
            self._orphans[token] = max(self._orphans.get(token, 0.0), since)
