"""What raises an alert and what carries it: one small value, one call, whatever the channel."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Severity(StrEnum):
    """How soon somebody should look: when convenient, today, now, or in the middle of the night."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    def reaches(self, least: "Severity") -> bool:
        """Whether it is as bad as that, or worse."""
        order = list(Severity)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong, for a person.

    ``event`` is a fixed name (``consolidation_skipped``) and ``subject`` what it is about: a run, an order, a queue, a
    feed, or nothing when it is the whole system. Both together are one incident, which is told once however often it is
    raised. ``title`` is one line; ``text`` tells what happened and means. ``since`` is when it began (None: now),
    ``stones`` how many are concerned, ``cause`` the likely one, ``action`` the command that helps and ``page`` the path
    of the dashboard's page that shows it (empty: that of all alerts). ``fields`` are further facts. Secrets do not
    belong in any of them.
    """

    severity: Severity
    event: str
    title: str
    text: str
    run_id: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    subject: str = ""
    since: datetime | None = None
    stones: int | None = None
    cause: str = ""
    action: str = ""
    page: str = ""

    @property
    def about(self) -> str:
        """The incident's subject: a run's own alerts need not name it twice."""
        return self.subject or self.run_id or ""


class Alerts(Protocol):
    async def raise_alert(self, alert: Alert) -> None:
        """Deliver it. A channel that fails says so in the log and never raises: the work goes on."""
        ...
