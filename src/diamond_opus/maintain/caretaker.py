"""Housekeeping by the clock: of all processes that stay, one at a time does what is due."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import psycopg

from diamond_opus.domain.cron import due
from diamond_opus.domain.errors import DiamondError
from diamond_opus.maintain import upkeep
from diamond_opus.maintain.housekeeper import Done, Housekeeper
from diamond_opus.maintain.tasks import TASKS
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.turns import take_turns
from diamond_opus.runs.keeping import keep_while
from diamond_opus.runs.model import LeaseLost
from diamond_opus.runs.store import take_duty

log = get_logger("maintain")

DUTY = "maintain"
POLL_SECONDS = 60.0
LEASE_SECONDS = 3 * POLL_SECONDS

#: A task that failed is tried again so much later; one that was cut off, as soon as somebody else has the duty.
RETRY_AFTER = timedelta(hours=1)


class Caretaker:
    """Looks once a minute which tasks have not been done since the newest moment that ``cron`` names."""

    def __init__(self, housekeeper: Housekeeper, *, cron: str, holder: UUID) -> None:
        self._housekeeper = housekeeper
        self._pool = housekeeper.house.pool
        self._clock = housekeeper.clock
        self._cron = cron
        self._holder = holder

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``, which also ends what is under way: the batch is taken back, and done the next time."""
        await take_turns(
            stop, self._look_safely, duty=DUTY, clock=self._clock, pause_seconds=lambda: POLL_SECONDS
        )

    async def look(self) -> Sequence[Done]:
        """Do what is due, if this process has the duty."""
        if not await self._has_duty():
            return []
        tasks = await self._due_tasks()
        if not tasks:
            return []
        return await keep_while(
            self._housekeeper.keep(tasks), self._keep_duty, lease_seconds=LEASE_SECONDS, clock=self._clock
        )

    async def _look_safely(self) -> None:
        try:
            await self.look()
        except (DiamondError, psycopg.Error, OSError) as error:
            log.warning("upkeep_put_off", reason=str(error))

    async def _due_tasks(self) -> list[str]:
        async with self._pool.connection() as conn:
            found = await upkeep.newest(conn, [task.name for task in TASKS])
        return [
            one.task
            for one in found
            if due(one.now, self._cron, one.succeeded_at)
            and (one.failed_at is None or one.failed_at < one.now - RETRY_AFTER)
        ]

    async def _has_duty(self) -> bool:
        async with self._pool.connection() as conn:
            return await take_duty(conn, DUTY, holder=self._holder, lease_seconds=LEASE_SECONDS)

    async def _keep_duty(self) -> None:
        if not await self._has_duty():
            raise LeaseLost("maintain: another process keeps house now")
