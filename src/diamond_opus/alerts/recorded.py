"""Alerts that tell of a failure, kept in the operator's list of errors as well: it is what he looks at."""

from typing import Any

from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.protocol import Alert, Alerts, Severity
from diamond_opus.observability.error_log import record_error

_KEPT = (Severity.ERROR, Severity.CRITICAL)


class RecordedAlerts:
    """Hands each alert on; what cannot be recorded is logged, and handed on all the same."""

    def __init__(self, pool: AsyncConnectionPool[Any], channel: Alerts, *, service: str) -> None:
        self._pool = pool
        self._channel = channel
        self._service = service

    async def raise_alert(self, alert: Alert) -> None:
        if alert.severity in _KEPT:
            context = {"alert": alert.event, "runId": alert.run_id, **alert.fields}
            await record_error(
                self._pool,
                service=self._service,
                error_message=f"{alert.title}. {alert.text}",
                context={name: value for name, value in context.items() if value is not None},
            )
        await self._channel.raise_alert(alert)
