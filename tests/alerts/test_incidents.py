"""An incident is one row however often and by however many it is seen, until it is over."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

from diamond_opus.alerts.incidents import (
    get_incident,
    list_incidents,
    list_open,
    mark_cleared,
    open_incident,
    resolve_incident,
)
from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.db.pool import Pool

RUN = str(UUID(int=7))
ALERT = Alert(
    Severity.ERROR,
    "consolidation_failed",
    "Run 7 failed",
    "It said: postgresql://opus:hunter2@db/shop.",
    run_id=RUN,
    fields={"failed": 2},
    since=datetime(2026, 1, 1, tzinfo=UTC),
    stones=1200,
    cause="no room",
    action="diamond consolidate 7",
    page="/runs/7",
)


async def test_an_incident_holds_all_that_the_alert_says_and_no_secret(pool: Pool) -> None:
    async with pool.connection() as conn:
        opened = await open_incident(conn, ALERT)
        assert opened is not None
        incident = await get_incident(conn, opened)
    assert incident is not None
    assert (incident.event, incident.subject, incident.severity) == (
        "consolidation_failed",
        RUN,
        Severity.ERROR,
    )
    assert (incident.run_id, incident.since, incident.occurrences) == (UUID(RUN), ALERT.since, 1)
    assert incident.facts == {
        "failed": 2,
        "stones": 1200,
        "cause": "no room",
        "action": "diamond consolidate 7",
        "page": "/runs/7",
    }
    assert "hunter2" not in incident.text


async def test_what_is_seen_again_is_the_same_incident_and_clears_up_no_more(pool: Pool) -> None:
    again = Alert(Severity.CRITICAL, ALERT.event, "another title", "It is worse.", run_id=RUN)
    async with pool.connection() as conn:
        opened = await open_incident(conn, ALERT)
        assert opened is not None
        await mark_cleared(conn, opened)
        [before] = await list_open(conn)
        assert before.cleared_at is not None
        assert await open_incident(conn, again) is None
        [incident] = await list_open(conn)
    assert (incident.id, incident.occurrences, incident.cleared_at) == (opened, 2, None)
    assert (incident.severity, incident.title) == (Severity.CRITICAL, "another title")
    assert (incident.text, incident.facts) == ("It is worse.", {})
    assert incident.last_seen_at > before.last_seen_at


async def test_many_at_once_open_one_incident(pool: Pool) -> None:
    async def see() -> UUID | None:
        async with pool.connection() as conn:
            return await open_incident(conn, ALERT)

    opened = await asyncio.gather(*(see() for _ in range(24)))
    assert len([incident_id for incident_id in opened if incident_id]) == 1
    async with pool.connection() as conn:
        [incident] = await list_open(conn)
    assert incident.occurrences == 24


async def test_what_is_over_may_begin_anew(pool: Pool) -> None:
    async with pool.connection() as conn:
        first = await open_incident(conn, ALERT)
        assert first is not None
        assert await resolve_incident(conn, first, resolution="the disk was enlarged")
        assert not await resolve_incident(conn, first, resolution="again")
        assert not await resolve_incident(conn, uuid4(), resolution="never was")
        assert await list_open(conn) == []
        second = await open_incident(conn, ALERT)
        everything = await list_incidents(conn, limit=10)
        assert await list_incidents(conn, limit=10, offset=1) == everything[1:]
    assert [incident.id for incident in everything] == [second, first]
    over = everything[1]
    assert over.resolution == "the disk was enlarged"
    assert over.cleared_at is not None
    assert over.resolved_at is not None
