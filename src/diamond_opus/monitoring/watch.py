"""Opens an incident for what is wrong, and ends it when it has been right for a while: once each, whoever looks."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.incidents import (
    Incident,
    count_lately,
    list_open,
    mark_cleared,
    mark_not_over,
    refresh,
    resolve_incident,
)
from diamond_opus.alerts.protocol import Alert, Alerts, Severity
from diamond_opus.db.errors import is_outage
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import DiamondError
from diamond_opus.monitoring.events import RAISED
from diamond_opus.monitoring.look import Lookout, Sight
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.turns import take_turns
from diamond_opus.runs.store import database_time, take_duty

DUTY = "incidents"

#: A quarter of an hour of quiet is the most that trouble has to show that comes and goes.
_MOST_DOUBLINGS = 4

#: How long the database may be away before somebody is told: a restart or a failover takes less.
_AWAY_SECONDS = 120.0
_AWAY_FOR_OTHERS_SECONDS = 600.0

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
        self._had_duty = False
        self._away_since: float | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; a turn that fails is logged and the next one does its work."""
        await take_turns(
            stop, self.turn_safely, duty=DUTY, clock=self._clock, pause_seconds=lambda: self._seconds
        )

    async def turn_safely(self) -> None:
        """A turn; a database that stays away is told, which needs no database."""
        try:
            await self.turn()
        except (DiamondError, psycopg.Error, OSError) as error:
            log.warning("incidents_not_looked_after", reason=str(error))
            if is_outage(error):
                await self._tell_outage(error)
        else:
            self._away_since = None

    async def turn(self) -> None:
        async with self._pool.connection() as conn:
            self._had_duty = await take_duty(conn, DUTY, holder=self._holder, lease_seconds=3 * self._seconds)
            if not self._had_duty:
                return
            now = await database_time(conn)
            before = await list_open(conn)
        sight = await self._lookout.look(now)
        known = {(incident.event, incident.subject) for incident in before}
        for alert in sight.alerts:
            if (alert.event, alert.about) not in known:
                await self._alerts.raise_alert(alert)
            else:
                async with self._pool.connection() as conn:
                    await refresh(conn, alert)
        for incident in before:
            if is_over(incident, sight):
                await self._end(incident)
            elif incident.cleared_at is not None:
                async with self._pool.connection() as conn:
                    await mark_not_over(conn, incident.id)

    async def _tell_outage(self, error: Exception) -> None:
        """Who had the duty tells it; the others, who may be as many, only when it lasts for longer."""
        now = self._clock.monotonic()
        self._away_since = now if self._away_since is None else self._away_since
        patience = _AWAY_SECONDS if self._had_duty else _AWAY_FOR_OTHERS_SECONDS
        if now - self._away_since < patience:
            return
        self._away_since = float("inf")  # told; from the next answer on anew
        since = self._clock.now() - timedelta(seconds=patience)
        await self._alerts.raise_alert(
            Alert(
                Severity.CRITICAL,
                "database_unavailable",
                "The database serves nobody",
                f"{error}. Nothing is lost; runs, holds and orders wait for it, and searches fail.",
                since=since,
                cause="Its server is down or out of reach, or has no connection left.",
                action="Look at the server; all goes on by itself then: diamond doctor",
            )
        )

    async def _end(self, incident: Incident) -> None:
        """Now, if it has been quiet for long enough; else from now on it is.

        The copy is from before the look, which takes a while: what was raised again since then is not over.
        """
        async with self._pool.connection() as conn:
            cleared_at = incident.cleared_at
            if cleared_at is None:
                cleared_at = await mark_cleared(conn, incident.id)
                if self._quiet or cleared_at is None:
                    return
            elif await database_time(conn) - cleared_at < await self._quiet_for(conn, incident):
                return
            if await resolve_incident(
                conn, incident.id, resolution="it is not seen any more", cleared_at=cleared_at
            ):
                log.info("incident_resolved", incident=incident.event, about=incident.subject)

    async def _quiet_for(self, conn: AsyncConnection[Any], incident: Incident) -> timedelta:
        """Doubled each time that the same trouble came back within the hour, so that it is not told over and over."""
        times = await count_lately(conn, incident)
        return self._quiet * (1 << min(max(0, times - 1), _MOST_DOUBLINGS))


def is_over(incident: Incident, sight: Sight) -> bool:
    """Only what was looked for can be over; of what nobody knows how to look for, a person says so."""
    if sight.still is None or incident.id in sight.still:
        return False
    if any((alert.event, alert.about) == (incident.event, incident.subject) for alert in sight.alerts):
        return False
    return incident.event in sight.seen or incident.event in RAISED
