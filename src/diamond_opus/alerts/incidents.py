"""Incidents: trouble with a beginning and an end, one open row for each event and its subject.

Functions take an open connection; each is one statement, so that a caller may put it into his own unit of work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.db.audit import record_act
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.errors import DiamondError
from diamond_opus.observability.redact import clean_fields, clean_text

QUERIES = load_queries("diamond_opus.alerts", "incidents.sql")

TITLE_LIMIT_BYTES = 300


class UnknownIncident(DiamondError):
    """There is none with this id."""


class IncidentOver(DiamondError):
    """Somebody was first, or it was not seen any more."""


@dataclass(frozen=True, slots=True)
class Incident:
    """``facts`` are the alert's fields with ``stones``, ``cause``, ``action`` and ``page``, where it had them."""

    id: UUID
    event: str
    subject: str
    severity: Severity
    title: str
    text: str
    facts: Mapping[str, Any]
    run_id: UUID | None
    since: datetime
    opened_at: datetime
    last_seen_at: datetime
    occurrences: int = 1
    cleared_at: datetime | None = None
    resolved_at: datetime | None = None
    resolution: str | None = None


async def open_incident(conn: Connection, alert: Alert, *, incident_id: UUID | None = None) -> UUID | None:
    """The id of the incident that this alert opens; None when it is open already, and then it was seen once more.

    ``incident_id`` is for one that was told before it could be written.
    """
    values = {
        "id": incident_id,
        "event": alert.event,
        "subject": alert.about,
        "severity": alert.severity,
        "title": _title(alert),
        "text": clean_text(alert.text),
        "facts": Jsonb(_facts(alert)),
        "run_id": _run_id(alert),
        "since": alert.since,
    }
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["open_incident"], values)
        row = await cursor.fetchone()
    opened: UUID | None = row["id"] if row and row["is_new"] else None
    return opened


def unwritten(alert: Alert, incident_id: UUID, now: datetime) -> Incident:
    """The incident of an alert that could not be written yet."""
    return Incident(
        id=incident_id,
        event=alert.event,
        subject=alert.about,
        severity=alert.severity,
        title=_title(alert),
        text=clean_text(alert.text),
        facts=_facts(alert),
        run_id=_run_id(alert),
        since=alert.since or now,
        opened_at=now,
        last_seen_at=now,
    )


async def find_open(conn: Connection, event: str, subject: str) -> UUID | None:
    cursor = await conn.execute(QUERIES["find_open"], {"event": event, "subject": subject})
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def get_incident(conn: Connection, incident_id: UUID) -> Incident | None:
    found = await _incidents(conn, "get_incident", {"id": incident_id})
    return found[0] if found else None


async def list_open(conn: Connection) -> Sequence[Incident]:
    """What is wrong now, the oldest first."""
    return await _incidents(conn, "list_open", {})


async def list_incidents(conn: Connection, *, limit: int, offset: int = 0) -> Sequence[Incident]:
    """All there were, the newest first."""
    return await _incidents(conn, "list_incidents", {"limit": limit, "offset": offset})


async def count_incidents(conn: Connection) -> int:
    """All there were."""
    cursor = await conn.execute(QUERIES["count_incidents"])
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def count_lately(conn: Connection, incident: Incident) -> int:
    """How often the same trouble began within the hour, this time included."""
    values = {"event": incident.event, "subject": incident.subject}
    cursor = await conn.execute(QUERIES["count_lately"], values)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def mark_cleared(conn: Connection, incident_id: UUID) -> datetime | None:
    """It is not seen any more, since now; it is over when it stays so. None when it was marked or ended before."""
    cursor = await conn.execute(QUERIES["mark_cleared"], {"id": incident_id})
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def refresh(conn: Connection, alert: Alert) -> None:
    """What is open is still so, in these words and figures; nobody raised it once more."""
    values = {
        "event": alert.event,
        "subject": alert.about,
        "title": _title(alert),
        "text": clean_text(alert.text),
    }
    await conn.execute(QUERIES["refresh"], {**values, "facts": Jsonb(_facts(alert))})


async def mark_not_over(conn: Connection, incident_id: UUID) -> None:
    """It is still so, or nobody could look: the time in which it is not seen begins anew."""
    await conn.execute(QUERIES["mark_not_over"], {"id": incident_id})


async def resolve_incident(
    conn: Connection, incident_id: UUID, *, resolution: str, cleared_at: datetime | None = None
) -> bool:
    """End it; False when it is not open, or was not left alone since ``cleared_at``."""
    values = {"id": incident_id, "resolution": clean_text(resolution), "cleared_at": cleared_at}
    cursor = await conn.execute(QUERIES["resolve_incident"], values)
    return await cursor.fetchone() is not None


async def resolve_events(conn: Connection, events: Sequence[str], *, resolution: str) -> None:
    """End all that are open of these events."""
    await conn.execute(QUERIES["resolve_events"], {"events": list(events), "resolution": resolution})


async def end_by_hand(
    conn: Connection, incident_id: UUID, *, actor: str, note: str | None, name: str | None = None
) -> Incident:
    """A person's word that it is over, in the audit log; returns what is over now.

    The channels are told with the ``note``, and with the ``name`` by which people know the actor, if that is another.
    Raises UnknownIncident or IncidentOver.
    """
    resolution = f"{name or actor} ended it{f': {note}' if note else ''}"
    async with conn.transaction():
        is_ended = await resolve_incident(conn, incident_id, resolution=resolution)
        incident = await get_incident(conn, incident_id)
        if incident is None:
            raise UnknownIncident(f"there is no alert {incident_id}")
        if not is_ended:
            raise IncidentOver(f"alert {incident_id} is over: {incident.resolution}")
        details = {"event": incident.event, "subject": incident.subject, "note": note or ""}
        await record_act(
            conn, actor=actor, action="incident.resolve", subject=str(incident_id), details=details
        )
    return incident


async def _incidents(conn: Connection, query: str, values: Mapping[str, object]) -> Sequence[Incident]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES[query], values)
        rows = await cursor.fetchall()
    return [Incident(**{**row, "severity": Severity(row["severity"])}) for row in rows]


def _title(alert: Alert) -> str:
    return clean_text(alert.title, limit_bytes=TITLE_LIMIT_BYTES)


def _facts(alert: Alert) -> dict[str, Any]:
    told = {"stones": alert.stones, "cause": alert.cause, "action": alert.action, "page": alert.page}
    return dict(
        clean_fields(
            {**alert.fields, **{name: value for name, value in told.items() if value not in (None, "")}}
        )
    )


def _run_id(alert: Alert) -> UUID | None:
    """What is no id of a run is the subject all the same."""
    try:
        return None if alert.run_id is None else UUID(alert.run_id)
    except ValueError:
        return None
