"""Alerts without any channel configured: lines in the log."""

import logging

from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.observability.logging import get_logger

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}

log = get_logger(__name__)


class LogAlerts:
    """Writes each alert as the event ``alert`` at the level of its severity."""

    async def raise_alert(self, alert: Alert) -> None:
        run = {} if alert.run_id is None else {"run_id": alert.run_id}
        log.log(
            _LEVELS[alert.severity],
            "alert",
            alert=alert.event,
            title=alert.title,
            text=alert.text,
            fields=dict(alert.fields),
            **run,
        )
