"""What the work calls when a person has to know: the incident is written down, and nothing is sent from here.

A failure is kept in the operator's list of errors too, with the incident and as soon: it is what he looks at.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.channels import Channel
from diamond_opus.alerts.direct import Direct
from diamond_opus.alerts.incidents import open_incident
from diamond_opus.alerts.log import LogAlerts
from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.db.pool import Connection
from diamond_opus.domain.clock import Clock
from diamond_opus.observability.error_log import write_error
from diamond_opus.observability.logging import get_logger

log = get_logger(__name__)

_KEPT = (Severity.ERROR, Severity.CRITICAL)

#: Who raises an alert is at work; a database that takes longer is told around.
_PATIENCE_SECONDS = 4.0


class IncidentAlerts:
    """Opens the incident, or notes that it was seen again. Each that is new is a line in the log as well.

    What the database cannot take is not lost: it is told at once, in the background, and written when that is possible.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        *,
        service: str,
        clock: Clock,
        channels: Sequence[Channel] = (),
        public_url: str | None = None,
        first_pause_seconds: float = 1.0,
    ) -> None:
        self._pool = pool
        self._service = service
        self._clock = clock
        self._log = LogAlerts()
        self._direct = Direct(
            pool,
            channels,
            clock=clock,
            record=self._record,
            public_url=public_url,
            first_pause_seconds=first_pause_seconds,
        )

    async def raise_alert(self, alert: Alert) -> None:
        """Never raises, and takes 4 s at most."""
        incident_id: UUID | None = None
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), self._pool.connection() as conn:
                incident_id = uuid4()
                is_new = await self._record(conn, alert, incident_id) is not None
        except Exception as error:  # whatever it is, a person has to know of the alert
            dated = replace(alert, since=alert.since or self._clock.now())
            is_new = self._direct.carry(dated, written_as=incident_id if _may_be_written(error) else None)
            log.warning("incident_not_recorded", alert=alert.event, reason=f"{type(error).__name__}: {error}")
        if is_new:
            await self._log.raise_alert(alert)

    async def close(self) -> None:
        """Give what is told directly a few seconds more, and end it."""
        await self._direct.close()

    async def _record(self, conn: Connection, alert: Alert, incident_id: UUID) -> UUID | None:
        """Incident and error together: whoever finds the one finds the other."""
        async with conn.transaction():
            opened = await open_incident(conn, alert, incident_id=incident_id)
            if opened is not None and alert.severity in _KEPT:
                context = {"alert": alert.event, "runId": alert.run_id, **alert.fields}
                await write_error(
                    conn,
                    service=self._service,
                    error_message=f"{alert.title}. {alert.text}",
                    context={name: value for name, value in context.items() if value is not None},
                )
        return opened


def _may_be_written(error: Exception) -> bool:
    """What the server refuses it has not written; of a commit whose answer was lost nobody knows."""
    return isinstance(error, TimeoutError) or (isinstance(error, psycopg.Error) and error.sqlstate is None)
