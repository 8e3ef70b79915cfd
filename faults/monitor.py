"""Measures how long the pipeline stands still after the end of each fault."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import psycopg


class Monitor:
    """``healed`` tells it of an end; ``recoveries`` are the seconds until something moved again, one for each."""

    _PROGRESS = """
        SELECT string_agg(state, ',' ORDER BY started_at), sum(consolidation_processed),
            (SELECT sum(pages_read + attempts) FROM partition_progress),
            (SELECT count(*) FROM partition_progress WHERE state = 'completed'),
            (SELECT count(*) FROM removal_candidates WHERE state <> 'frozen'),
            bool_and(state IN ('completed', 'failed', 'cancelled'))
        FROM run_metadata"""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: list[float] = []
        self.recoveries: list[float] = []

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
                        row = await (await conn.execute(self._PROGRESS)).fetchone()
                        if row != last or (row and row[-1]):
                            now = time.monotonic()
                            self.recoveries += [now - healed for healed in self._waiting]
                            self._waiting.clear()
                        last = row
                        await asyncio.sleep(0.1)
            await asyncio.sleep(0.1)
