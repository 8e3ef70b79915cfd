"""Whether a process could do its work now: the database answers, and has the schema of this release."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import psycopg

from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.db.pool import Connection, Pool, transaction
from diamond_opus.domain.clock import Clock
from diamond_opus.observability.logging import get_logger

PATIENCE_SECONDS = 2.0
#: Whoever asks is not known: however often it happens, the database is asked no more than once in this time.
REMEMBER_SECONDS = 1.0

log = get_logger(__name__)


class Readiness:
    """Asks the database, one question at a time, and remembers the answer for a moment."""

    def __init__(
        self, pool: Pool, pending_migrations: Callable[[Connection], Awaitable[Sequence[str]]], clock: Clock
    ) -> None:
        self._pool = pool
        self._pending_migrations = pending_migrations
        self._clock = clock
        self._asking = asyncio.Lock()
        self._problems: Mapping[str, str | None] = {}
        self._until = float("-inf")

    async def problems(self) -> Mapping[str, str | None]:
        """By component what is wrong with it, None when nothing is."""
        async with self._asking:
            if self._clock.monotonic() >= self._until:
                self._problems = await self._ask()
                self._until = self._clock.monotonic() + REMEMBER_SECONDS
            return self._problems

    async def _ask(self) -> Mapping[str, str | None]:
        """The reasons are ours: a driver's would tell anybody where the database stands."""
        try:
            async with (
                asyncio.timeout(PATIENCE_SECONDS),
                self._pool.connection(timeout=PATIENCE_SECONDS) as conn,
                transaction(conn, statement_timeout_ms=int(PATIENCE_SECONDS * 1000)),
            ):
                missing = await self._pending_migrations(conn)
        except (psycopg.Error, DatabaseUnavailable, TimeoutError) as error:
            log.warning("not_ready", component="database", reason=str(error) or type(error).__name__)
            return {
                "database": f"gave no answer within {PATIENCE_SECONDS:g} s",
                "migrations": "unknown while the database cannot be asked",
            }
        if missing:
            return {
                "database": None,
                "migrations": f"pending: {', '.join(missing)}; run `diamond db migrate`",
            }
        return {"database": None, "migrations": None}


def describe(problems: Mapping[str, str | None]) -> dict[str, object]:
    """As those who ask are told."""
    return {
        "status": "not_ready" if any(problems.values()) else "ready",
        "components": {
            name: {"status": "ok"} if problem is None else {"status": "failed", "problem": problem}
            for name, problem in problems.items()
        },
    }
