"""Sends wake-ups for everything that is due: the reason why a lost message costs time and nothing else."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.protocol import Alerts
from diamond_opus.db.standstill import end_standing_sessions
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import DiamondError
from diamond_opus.failures import FullDisk, tell_failures
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.turns import take_turns
from diamond_opus.queue.protocol import Queue
from diamond_opus.runs import store as runs
from diamond_opus.wakeups import wake_partitions, wake_runs

log = get_logger("schedule")

DUTY = "sweep"


class Sweeper:
    """Sweeps every ``seconds``; of all processes that do, one at a time holds the duty.

    ``alone`` leaves the duty out, for a process whose queues nobody else reads; ``feed`` narrows it to one feed.
    """

    def __init__(
        self,
        *,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        work_items: Queue,
        consolidate: Queue,
        alerts: Alerts,
        holder: UUID,
        clock: Clock,
        seconds: float,
        longest_standstill_seconds: float,
        feed: str | None = None,
        alone: bool = False,
    ) -> None:
        self._pool = pool
        self._work_items = work_items
        self._consolidate = consolidate
        self._alerts = alerts
        self._full_disk = FullDisk(alerts, clock)
        self._holder = holder
        self._clock = clock
        self._seconds = seconds
        self._longest_standstill_seconds = longest_standstill_seconds
        self._feed = feed
        self._alone = alone

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; a sweep that fails is logged and the next one does its work."""
        await take_turns(
            stop, self._sweep_safely, duty=DUTY, clock=self._clock, pause_seconds=lambda: self._seconds
        )

    async def _sweep_safely(self) -> None:
        try:
            await self.sweep()
        except (DiamondError, psycopg.Error, OSError) as error:
            log.warning("sweep_failed", reason=str(error))
            await self._full_disk.tell(error)
        else:
            self._full_disk.note_room()

    async def sweep(self, *, limit: int = 100) -> int:
        """Wake what is due now, end what is overdue, tell what failed; returns how many messages were sent."""
        async with self._pool.connection() as conn:
            # Without the duty: who holds that may be the one who stands still.
            standing = await end_standing_sessions(conn, longest_seconds=self._longest_standstill_seconds)
            if standing:
                log.warning("standing_sessions_ended", applications=standing)
            if not self._alone and not await runs.take_duty(
                conn, DUTY, holder=self._holder, lease_seconds=2 * self._seconds
            ):
                return 0
            await runs.release_orphans(conn)
            partitions = await runs.take_due_partitions(
                conn, quiet_seconds=self._seconds, feed=self._feed, limit=limit
            )
            due_runs = await runs.take_due_runs(conn, quiet_seconds=self._seconds, feed=self._feed)
        await wake_partitions(self._work_items, partitions)
        await wake_runs(self._consolidate, due_runs)
        if partitions or due_runs:
            log.info("woken", partitions=len(partitions), runs=len(due_runs))
        async with self._pool.connection() as conn:
            timed_out = await runs.time_out_runs(conn, feed=self._feed)
        if timed_out:
            log.warning("runs_timed_out", run_ids=timed_out)
        await tell_failures(self._pool, self._alerts, feed=self._feed)
        return len(partitions) + len(due_runs)
