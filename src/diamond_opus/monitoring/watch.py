"""Opens an incident for what is wrong, and ends it when it has been right for a while: once each, whoever looks."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.incidents import Incident, list_open, mark_cleared, mark_seen, resolve_incident
from diamond_opus.alerts.protocol import Alerts
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import DiamondError
from diamond_opus.monitoring.events import RAISED
from diamond_opus.monitoring.look import Lookout, Sight
from diamond_opus.observability.logging import get_logger
from diamond_opus.queue.waiting import wait_for_event
from diamond_opus.runs.store import database_time, take_duty

DUTY = "incidents"

log = get_logger("monitoring")


class IncidentWatch:
    """Looks every ``seconds``; of all processes that do, one at a time holds the duty.

    What is back before it was away for ``quiet_seconds`` was never over: a supplier that answers every other minute is
    one incident.
    """

    def __init__(
        self,
        *,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        lookout: Lookout,
        alerts: Alerts,
        holder: UUID,
        clock: Clock,
        seconds: float = 30.0,
        quiet_seconds: float = 60.0,
    ) -> None:
        self._pool = pool
        self._lookout = lookout
        self._alerts = alerts
        self._holder = holder
        self._clock = clock
        self._seconds = seconds
        self._quiet = timedelta(seconds=quiet_seconds)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; a turn that fails is logged and the next one does its work."""
        while not stop.is_set():
            try:
                await self.turn()
            except (DiamondError, psycopg.Error, OSError) as error:
                log.warning("incidents_not_looked_after", reason=str(error))
            await wait_for_event(stop, self._clock, at_most_seconds=self._seconds)

    async def turn(self) -> None:
        async with self._pool.connection() as conn:
            if not await take_duty(conn, DUTY, holder=self._holder, lease_seconds=3 * self._seconds):
                return
            now = await database_time(conn)
            before = await list_open(conn)
        sight = await self._lookout.look(now)
        known = {(incident.event, incident.subject) for incident in before}
        for alert in sight.alerts:
            if (alert.event, alert.about) not in known:
                await self._alerts.raise_alert(alert)
        for incident in before:
            if is_over(incident, sight):
                await self._end(incident)
            elif incident.cleared_at is not None:
                async with self._pool.connection() as conn:
                    await mark_seen(conn, incident.id)

    async def _end(self, incident: Incident) -> None:
        """Now, if it has been quiet for long enough; else from now on it is."""
        async with self._pool.connection() as conn:
            if incident.cleared_at is None:
                await mark_cleared(conn, incident.id)
                if self._quiet:
                    return
            elif await database_time(conn) - incident.cleared_at < self._quiet:
                return
            if await resolve_incident(conn, incident.id, resolution="it is not seen any more"):
                log.info("incident_resolved", incident=incident.event, about=incident.subject)


def is_over(incident: Incident, sight: Sight) -> bool:
    """Only what was looked for can be over; of what nobody knows how to look for, a person says so."""
    if sight.still is None or incident.id in sight.still:
        return False
    if any((alert.event, alert.about) == (incident.event, incident.subject) for alert in sight.alerts):
        return False
    return incident.event in sight.seen or incident.event in RAISED
