"""What raises an alert and what carries it: one small value, one call, whatever the channel."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Severity(StrEnum):
    """How soon somebody should look: when convenient, today, now, or in the middle of the night."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Alert:
    """``event`` is a fixed name by which channels group and de-duplicate (``consolidation_skipped``).

    ``title`` is one line; ``text`` says what happened, what it means and what to press. ``fields`` are facts such
    as counts; secrets do not belong in any of them.
    """

    severity: Severity
    event: str
    title: str
    text: str
    run_id: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)


class Alerts(Protocol):
    async def raise_alert(self, alert: Alert) -> None:
        """Deliver it. A channel that fails says so in the log and never raises: the work goes on."""
        ...
