"""Decides when a run starts by the clock: the nightly one, and the full one that alone can see removals."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from diamond_opus.db.pool import Pool
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.cron import due
from diamond_opus.domain.errors import DiamondError, Retryable
from diamond_opus.domain.waiting import wait_for_event
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.turns import take_turns
from diamond_opus.runs import store as runs
from diamond_opus.runs.model import RunRefused, RunType

log = get_logger("schedule")

DUTY = "cron"
POLL_SECONDS = 30.0
LONGEST_BACKOFF_SECONDS = 1800.0

#: A supplier or a database that answers nobody is asked again so soon: when it is back, so is the run.
LONGEST_OUTAGE_SECONDS = 60.0

_QUERIES = load_queries("diamond_opus.schedule", "cron.sql")

#: Plans a run of this type (None: whatever RUN_TYPE and the watermark say) and wakes its workers.
StartRun = Callable[[RunType | None], Awaitable[UUID]]


@dataclass(frozen=True, slots=True)
class CronSettings:
    """``nightly`` starts a run of ``nightly_type`` (None: SPEC's rule), ``full`` a full one. Times are in UTC."""

    nightly: str
    full: str
    nightly_type: RunType | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """A run that is due, of this type."""

    run_type: RunType | None


def choose_start(
    now: datetime, settings: CronSettings, *, any_run: datetime | None, full_run: datetime | None
) -> Start | None:
    """What to start now. The full run goes first: it reads all that a nightly one would.

    ``any_run`` and ``full_run`` are the starts of the newest runs, however they ended: one that failed has been
    alerted and waits for a person, or for its next time.
    """
    if due(now, settings.full, full_run):
        return Start(RunType.FULL)
    if due(now, settings.nightly, any_run):
        return Start(settings.nightly_type)
    return None


class CronScheduler:
    """Looks every ``poll_seconds``; of all processes that do, one at a time holds the duty."""

    def __init__(
        self,
        *,
        pool: Pool,
        feed: str,
        start_run: StartRun,
        settings: CronSettings,
        holder: UUID,
        clock: Clock,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._pool = pool
        self._feed = feed
        self._start_run = start_run
        self._settings = settings
        self._holder = holder
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._failures = 0
        self._longest_pause = LONGEST_BACKOFF_SECONDS

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``, which also ends a planning under way: nothing is stored before a plan is whole."""
        await take_turns(
            stop, self._look_safely, duty=DUTY, clock=self._clock, pause_seconds=self._pause_seconds
        )

    async def look(self) -> UUID | None:
        """Start what is due if this process has the duty; returns the new run's id."""
        if not await self._take_duty():
            return None
        start = await self._choose()
        if start is None:
            return None
        async with self._keeping_duty():
            run_id = await self._start_run(start.run_type)
        log.info("run_started_by_clock", run_id=run_id, feed=self._feed)
        return run_id

    async def _look_safely(self) -> None:
        """Another active run is waited for; any other failure is tried again, later each time."""
        try:
            await self.look()
        except RunRefused as refusal:
            log.info("run_not_started_by_clock", feed=self._feed, reason=str(refusal))
        except (DiamondError, psycopg.Error, OSError) as error:
            self._failures += 1
            is_outage = isinstance(error, Retryable | psycopg.OperationalError | OSError)
            self._longest_pause = LONGEST_OUTAGE_SECONDS if is_outage else LONGEST_BACKOFF_SECONDS
            log.error("run_not_started_by_clock", feed=self._feed, reason=str(error), failures=self._failures)
            return
        self._failures = 0

    def _pause_seconds(self) -> float:
        return min(self._poll_seconds * 2.0 ** min(self._failures, 16), self._longest_pause)

    async def _choose(self) -> Start | None:
        async with self._pool.connection() as conn:
            if await runs.find_active_run(conn, self._feed) is not None:
                return None
            async with conn.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(_QUERIES["last_starts"], {"feed": self._feed})
                [row] = await cursor.fetchall()
        return choose_start(row["now"], self._settings, any_run=row["any_run"], full_run=row["full_run"])

    async def _take_duty(self) -> bool:
        async with self._pool.connection() as conn:
            return await runs.take_duty(conn, DUTY, holder=self._holder, lease_seconds=3 * self._poll_seconds)

    @asynccontextmanager
    async def _keeping_duty(self) -> AsyncIterator[None]:
        """Planning may take minutes; meanwhile nobody else should begin to ask the supplier the same."""
        planned = asyncio.Event()
        renewing = asyncio.create_task(self._renew_duty(planned))
        try:
            yield
        finally:
            planned.set()
            await renewing

    async def _renew_duty(self, planned: asyncio.Event) -> None:
        while not planned.is_set():
            try:
                await self._take_duty()
            except (DiamondError, psycopg.Error) as error:
                log.warning("duty_not_renewed", duty=DUTY, reason=str(error))
            await wait_for_event(planned, self._clock, at_most_seconds=self._poll_seconds)
