"""What is wrong, as operators read it, and their word that it is over."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from operator_support import Desk, is_exactly, open_desk

from alert_parts import deliverer
from alert_receiver import Receiver
from diamond_opus.alerts.incidents import open_incident, resolve_incident
from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.api.schemas_operators import AlertAnswer, AlertDelivery, Summary
from diamond_opus.api.schemas_triggers import AlertResolved
from pipeline_builders import Pool, World

NOBODY = {"critical": 0, "error": 0, "warning": 0, "info": 0, "worst": None}


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    async with open_desk(World(pool)) as opened:
        yield opened


async def begin(desk: Desk, event: str, severity: Severity, **told: Any) -> UUID:
    async with desk.world.pool.connection() as conn:
        opened = await open_incident(conn, Alert(severity, event, f"{event}!", "It happened.", **told))
    assert opened is not None
    return opened


async def end(desk: Desk, incident: UUID) -> None:
    async with desk.world.pool.connection() as conn:
        assert await resolve_incident(conn, incident, resolution="it is not seen any more")


async def test_the_open_ones_come_first_by_severity_then_the_newest_of_all(desk: Desk) -> None:
    for event in ("run_late", "backup_overdue"):
        await end(desk, await begin(desk, event, Severity.CRITICAL))
    await begin(desk, "budget_exhausted", Severity.WARNING)
    await begin(desk, "order_unknown", Severity.CRITICAL)
    await begin(desk, "dead_letters", Severity.WARNING)

    opened = ["order_unknown", "dead_letters", "budget_exhausted"]
    for filters, expected in (
        ({}, [*opened, "backup_overdue", "run_late"]),
        ({"open": "true"}, opened),
        ({"open": "false"}, ["backup_overdue", "run_late"]),
        ({"event": "run_late"}, ["run_late"]),
        ({"event": "run_late", "open": "true"}, []),
        ({"limit": 2, "page": 2}, ["budget_exhausted", "backup_overdue"]),
    ):
        answer = (await desk.get("/analytics/alerts", **filters)).json()
        assert [alert["event"] for alert in answer["data"]] == expected, filters
        assert answer["pagination"]["total"] == (5 if "limit" in filters else len(expected))


async def test_an_alert_tells_all_that_is_known_of_it_and_who_was_told(desk: Desk) -> None:
    run = await desk.world.plan()
    told = {"run_id": str(run.run_id), "stones": 12, "cause": "no room", "action": "diamond doctor"}
    alert = await begin(
        desk, "consolidation_failed", Severity.ERROR, page="/runs/7", fields={"failed": 2}, **told
    )
    bare = await begin(desk, "dead_letters", Severity.WARNING)
    with Receiver() as receiver:
        receiver.answer_with(204, always=500)
        await deliverer(desk.world.pool, receiver.alert_url).turn()
        shown, plain = await desk.data("/analytics/alerts")

    for each in (shown, plain):
        is_exactly(AlertAnswer, each)
    assert {name: shown[name] for name in ("id", "runId", "stones", "cause", "action", "page")} == {
        "id": str(alert),
        "runId": str(run.run_id),
        **{name: told[name] for name in ("stones", "cause", "action")},
        "page": "/runs/7",
    }
    assert shown["facts"] == {"failed": 2}
    assert shown["runbook"] == "docs/runbook.md#consolidation_failed"
    assert (plain["id"], plain["facts"], plain["stones"], plain["page"]) == (str(bare), {}, None, None)
    [sent], [failed] = shown["deliveries"], plain["deliveries"]
    for delivery in (sent, failed):
        is_exactly(AlertDelivery, delivery)
    assert (sent["state"], sent["kind"], sent["lastError"]) == ("delivered", "opened", None)
    assert (failed["state"], failed["attempts"], failed["lastError"]) == ("pending", 1, "HTTP 500")


async def test_a_person_ends_an_alert_once_and_that_is_audited(desk: Desk) -> None:
    alert = await begin(desk, "order_contradicted", Severity.CRITICAL, subject="order 7")
    ended = await desk.post("/triggers/resolve-alert", {"alertId": str(alert), "note": "the shop knows"})
    again = await desk.post("/triggers/resolve-alert", {"alertId": str(alert)})
    unknown = await desk.post("/triggers/resolve-alert", {"alertId": str(UUID(int=1))})

    assert ended.status_code == 200
    is_exactly(AlertResolved, ended.json()["data"])
    assert ended.json()["data"]["resolution"].endswith(" ended it: the shop knows")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "CONFLICT")
    assert "ended it: the shop knows" in again.json()["error"]["message"]
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "NOT_FOUND")
    [act] = await desk.acts("incident.resolve")
    assert act["actor"].startswith("key:")
    assert (act["subject"], act["details"]) == (
        str(alert),
        {"event": "order_contradicted", "subject": "order 7", "note": "the shop knows"},
    )
    [shown] = await desk.data("/analytics/alerts", open="false")
    assert shown["resolvedAt"] is not None


async def test_the_summary_counts_what_is_open_and_names_the_worst(desk: Desk) -> None:
    assert (await desk.data("/analytics/summary"))["openAlerts"] == NOBODY
    await begin(desk, "run_late", Severity.ERROR)
    await begin(desk, "rejected_share", Severity.WARNING)
    worst = await begin(desk, "backup_overdue", Severity.ERROR)
    await end(desk, await begin(desk, "order_unknown", Severity.CRITICAL))

    summary = await desk.data("/analytics/summary")
    is_exactly(Summary, summary)
    counted = summary["openAlerts"]
    assert {**counted, "worst": None} == {**NOBODY, "error": 2, "warning": 1}
    assert (counted["worst"]["id"], counted["worst"]["title"]) == (str(worst), "backup_overdue!")
