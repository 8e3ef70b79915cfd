"""How a supplier answers us, for whoever watches: it answers, refuses us, does not let us log in, or is away."""

import asyncio
from enum import StrEnum
from types import TracebackType
from typing import NamedTuple, Self

import psycopg

from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.db.pool import Connection, Pool
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.tasks import end
from diamond_opus.observability.logging import get_logger

#: How often what was noted is looked at, and how often a state that stays is written.
LOOK_SECONDS = 5.0
STEADY_SECONDS = 30.0

#: Refusals that come within so long of each other are one trouble, whatever is answered in between. Longer than a
#: state that stays goes unwritten, so that no process ends what another still sees.
CALM_SECONDS = 60.0

#: How long a process that ends waits to leave its last word.
_LAST_WORD_SECONDS = 2.0

log = get_logger(__name__)

_QUERIES = load_queries("diamond_opus.feeds", "health.sql")
_NOTE = _QUERIES["note_health"]


class SupplierState(StrEnum):
    """As the table ``supplier_health`` names them."""

    ANSWERING = "answering"
    REFUSING = "refusing"
    LOGIN_FAILED = "login_failed"
    AWAY = "away"


#: These last until a calm. That a supplier is away is disproved by any answer.
_STANDING = (SupplierState.REFUSING, SupplierState.LOGIN_FAILED)


async def forget_health(conn: Connection) -> None:
    """In a database that was restored it tells of another time; the next answer of each supplier is noted anew."""
    await conn.execute(_QUERIES["forget_health"])


class _Seen(NamedTuple):
    """When last on the monotonic clock, and what was said."""

    at: float
    reason: str | None


class SupplierHealth:
    """Notes how each exchange ended, in memory, and writes it down beside the work (``async with``).

    A change is written at the next look; a state that stays, the good one too, every ``STEADY_SECONDS``, for it may
    have to end what another process saw before it died. While the database is away, which is told once, nothing is
    written, and what is true by then when it is back.
    """

    def __init__(self, pool: Pool, feed: str, clock: Clock) -> None:
        self._pool = pool
        self._feed = feed
        self._clock = clock
        self._seen: dict[SupplierState, _Seen] = {}
        self._written: SupplierState | None = None
        self._written_at = float("-inf")
        self._is_lost = False
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeping is not None:
            await end(self._keeping)
        try:
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                await self.look()
        except TimeoutError:
            log.info("supplier_health_not_written", feed=self._feed, reason="the process ended")

    def note(self, state: SupplierState, reason: str | None = None) -> None:
        """An exchange ended so."""
        self._seen.pop(state, None)  # the newest is the last
        self._seen[state] = _Seen(self._clock.monotonic(), reason)

    async def look(self) -> None:
        """Write the present state if it is new, or was seen again and not written for a while."""
        if not self._seen:
            return
        now = self._clock.monotonic()
        state = self._present(now)
        seen = self._seen[state]
        is_due = seen.at > self._written_at and now - self._written_at >= STEADY_SECONDS
        if state is self._written and not is_due:
            return
        values = {
            "feed": self._feed,
            "state": state,
            "age_seconds": now - seen.at,
            "reason": seen.reason,
            "calm_seconds": CALM_SECONDS,
        }
        try:
            async with self._pool.connection() as conn:
                await conn.execute(_NOTE, values)
        except (psycopg.Error, DatabaseUnavailable) as error:
            if not self._is_lost:
                log.warning("supplier_health_not_written", feed=self._feed, reason=str(error))
            self._is_lost = True
            return
        self._is_lost = False
        self._written, self._written_at = state, now

    def _present(self, now: float) -> SupplierState:
        """A refusal that still stands, the one that was written before another; else what was seen last.

        It stands here a look longer than in the table, so that the table, written a little later, agrees.
        """
        calm = now - CALM_SECONDS - LOOK_SECONDS
        standing = [state for state, seen in self._seen.items() if state in _STANDING and seen.at > calm]
        if self._written in standing:
            return self._written
        return (standing or list(self._seen))[-1]

    async def _keep(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            await self.look()
