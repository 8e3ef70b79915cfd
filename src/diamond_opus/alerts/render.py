"""What people read: an incident's beginning, or its end, as a line and a few more."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from html import escape
from uuid import UUID

from diamond_opus.alerts.incidents import Incident
from diamond_opus.alerts.protocol import Severity

RUNBOOK = "docs/runbook.md"
#: The dashboard's, for what no other page shows.
ALERTS_PAGE = "/alerts"


class Kind(StrEnum):
    """Which of an incident's two messages."""

    OPENED = "opened"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Message:
    """``key`` is the id it is told as: a channel that groups, such as PagerDuty, knows beginning and end by it."""

    title: str
    body: str
    severity: Severity
    kind: Kind
    key: str


def render(incident: Incident, kind: Kind, *, told_as: UUID, public_url: str | None) -> Message:
    """``told_as`` is the id by which the channel knows it, in most cases its own.

    ``public_url`` is where people find the dashboard; without it there is no link.
    """
    label = incident.severity.value if kind is Kind.OPENED else "resolved"
    first = [incident.text] if kind is Kind.OPENED else _ending(incident)
    return Message(
        title=f"[{label}] {incident.title}",
        body="\n".join([*first, "", *_facts(incident, public_url), f"Incident: {told_as}"]),
        severity=incident.severity,
        kind=kind,
        key=str(told_as),
    )


def as_html(message: Message) -> str:
    """The same as a mail: a heading, and a paragraph for each line."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in message.body.splitlines() if line)
    return f"<h2>{escape(message.title)}</h2>{lines}"


def _ending(incident: Incident) -> list[str]:
    until = f" until {_utc(incident.cleared_at)}" if incident.cleared_at else ""
    return [
        f"It is over: {incident.resolution or 'it is not seen any more'}.",
        f"It lasted{until}. It was: {incident.text}",
    ]


def _facts(incident: Incident, public_url: str | None) -> Iterator[str]:
    facts = incident.facts
    yield f"Since: {_utc(incident.since)}"
    yield f"Noticed: {_utc(incident.opened_at)}"
    if isinstance(stones := facts.get("stones"), int):
        yield f"Stones: {stones:,}"
    for label, name in (("Likely cause", "cause"), ("What to do", "action")):
        if facts.get(name):
            yield f"{label}: {facts[name]}"
    if public_url:
        yield f"Look at: {public_url.rstrip('/')}{facts.get('page') or ALERTS_PAGE}"
    yield f"Runbook: {RUNBOOK}#{incident.event}"
    if incident.run_id:
        yield f"Run: {incident.run_id}"


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
