"""Values that only the database knows, asked for when somebody scrapes, seldom enough to cost nothing."""

import asyncio
from collections.abc import Sequence

import psycopg
from psycopg.rows import tuple_row

from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.db.pool import Pool, transaction
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.clock import Clock
from diamond_opus.observability.collectors import Sample
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.metrics import (
    RUN_STATES,
    RUN_TYPES,
    SUPPLIER_STATES,
    exposition,
    tell_database,
)
from diamond_opus.queue.pgmq_schema import dead_table_name, table_name

#: However many scrape, the database is asked no more often.
REFRESH_SECONDS = 15.0
#: How long a scrape waits for the database.
PATIENCE_SECONDS = 2.0

log = get_logger(__name__)

_LOOK = load_queries("diamond_opus.monitoring", "gauges.sql")["look"]


class Gauges:
    """What the database said last of these feeds and tasks of housekeeping; ``queues`` are those that it keeps."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        *,
        feeds: Sequence[str],
        tasks: Sequence[str],
        queues: Sequence[str] = (),
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._values = {
            "feeds": list(feeds),
            "tasks": list(tasks),
            "queues": list(queues),
            "tables": [table_name(queue) for queue in queues],
            "dead_tables": [dead_table_name(queue) for queue in queues],
            "run_states": list(RUN_STATES),
            "run_types": list(RUN_TYPES),
            "supplier_states": list(SUPPLIER_STATES),
        }
        self._asking = asyncio.Lock()
        self._until = float("-inf")

    async def refresh(self) -> None:
        """Ask again, if the last look is old. A database that does not answer is told as such; nothing is raised."""
        async with self._asking:
            if self._clock.monotonic() < self._until:
                return
            try:
                samples = await self._look()
            except (psycopg.Error, DatabaseUnavailable, TimeoutError) as error:
                log.warning("gauges_not_read", reason=str(error) or type(error).__name__)
                samples = (Sample("diamond_database_up", (), 0),)
            tell_database(samples)
            self._until = self._clock.monotonic() + REFRESH_SECONDS

    async def _look(self) -> Sequence[Sample]:
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            self._pool.connection(timeout=PATIENCE_SECONDS) as conn,
            transaction(conn, statement_timeout_ms=int(PATIENCE_SECONDS * 1000)),
            conn.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(_LOOK, self._values)
            return [Sample(metric, labels, float(value)) for metric, labels, value in await cursor.fetchall()]


async def answer_scrape(gauges: Gauges | None, accept: str | None) -> tuple[bytes, str]:
    """All metrics of this process, with what the database knows where it is asked, and the content's type.

    Written in a thread: of an API with all its routes they are a thousand lines, and no search shall wait for them.
    """
    if gauges is not None:
        await gauges.refresh()
    return await asyncio.to_thread(exposition, accept)
