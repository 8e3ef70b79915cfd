"""What is raised is an incident and an error; what the database cannot take is told at once, and written later."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from structlog.testing import capture_logs

from alert_parts import deliverer, eventually, rows
from alert_receiver import Receiver
from diamond_opus.alerts import direct, raised
from diamond_opus.alerts.channels import channels_of
from diamond_opus.alerts.incidents import open_incident, resolve_incident
from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.alerts.raised import IncidentAlerts
from diamond_opus.db.pool import Connection, Pool, open_pool
from diamond_opus.domain.clock import Clock, ManualClock, SystemClock

RUN = str(UUID(int=7))
FULL = Alert(Severity.CRITICAL, "database_full", "No room is left", "Make room.")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@asynccontextmanager
async def raising(
    pool: Pool, urls: str = "", *, first_pause_seconds: float = 0.02, clock: Clock | None = None
) -> AsyncIterator[IncidentAlerts]:
    alerts = IncidentAlerts(
        pool,
        service="worker",
        clock=clock or SystemClock(),
        channels=channels_of(urls),
        first_pause_seconds=first_pause_seconds,
    )
    try:
        yield alerts
    finally:
        await alerts.close()


@asynccontextmanager
async def no_room(pool: Pool) -> AsyncIterator[None]:
    """No incident can be written as long as this goes on."""
    async with pool.connection() as conn:
        await conn.execute(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END$$"
        )
        await conn.execute(
            "CREATE TRIGGER no_room BEFORE INSERT ON incidents FOR EACH ROW EXECUTE FUNCTION no_room()"
        )
    try:
        yield
    finally:
        async with pool.connection() as conn:
            await conn.execute("DROP FUNCTION no_room CASCADE")


@pytest.mark.parametrize(
    ("severity", "kept"), [(Severity.WARNING, 0), (Severity.ERROR, 1), (Severity.CRITICAL, 1)]
)
async def test_a_failure_is_an_incident_a_line_in_the_log_and_an_error_once(
    pool: Pool, severity: Severity, kept: int
) -> None:
    alert = Alert(severity, "consolidation_skipped", "Run 7 failed", "Retry it.", run_id=RUN)
    async with raising(pool) as alerts:
        with capture_logs() as logs:
            await alerts.raise_alert(alert)
            await alerts.raise_alert(alert)
    assert [line["alert"] for line in logs if line["event"] == "alert"] == ["consolidation_skipped"]
    assert await rows(pool, "SELECT event, subject, occurrences FROM incidents") == [
        ("consolidation_skipped", RUN, 2)
    ]
    errors = await rows(
        pool, "SELECT service, error_message, context->>'alert', context->>'runId' FROM error_logs"
    )
    assert errors == [("worker", "Run 7 failed. Retry it.", "consolidation_skipped", RUN)] * kept


async def test_what_the_database_cannot_take_is_told_at_once_and_not_again(
    pool: Pool, receiver: Receiver
) -> None:
    urls = f"{receiver.alert_url} critical={receiver.alert_url}critical"
    async with raising(pool, urls) as alerts:
        async with no_room(pool):
            with capture_logs() as logs:
                await alerts.raise_alert(FULL)
                await alerts.raise_alert(FULL)
                await eventually(lambda: len(receiver.received) == 2)
            assert [line["alert"] for line in logs if line["event"] == "alert"] == ["database_full"]
            await asyncio.sleep(0.1)
            assert len(receiver.received) == 2
            assert await rows(pool, "SELECT id FROM incidents") == []
        await eventually(lambda: rows(pool, "SELECT id FROM incidents"))
        await deliverer(pool, urls).turn()
        async with no_room(pool):
            await alerts.raise_alert(FULL)
    assert receiver.titles == ["[critical] No room is left"] * 2
    [(incident_id,)] = await rows(pool, "SELECT id FROM incidents")
    assert f"Incident: {incident_id}" in receiver.received[0]["message"]
    assert await rows(pool, "SELECT state, attempts FROM alert_deliveries") == [("delivered", 1)] * 2
    assert await rows(pool, "SELECT context->>'alert' FROM error_logs") == [("database_full",)]


async def test_the_same_trouble_within_the_hour_is_told_when_the_database_stays_away(
    pool: Pool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was over between: whether it was, only the database knows, and it does not say."""
    monkeypatch.setattr(direct, "_ASK_SECONDS", 0.3)
    async with raising(pool, receiver.alert_url) as alerts:
        async with no_room(pool):
            await alerts.raise_alert(FULL)
            await eventually(lambda: len(receiver.received) == 1)
        await eventually(lambda: rows(pool, "SELECT id FROM incidents"))
        await rows(
            pool,
            "UPDATE incidents SET cleared_at = now(), resolved_at = now() WHERE event <> '' RETURNING id",
        )
        async with no_room(pool):
            await alerts.raise_alert(FULL)
            await asyncio.sleep(0.1)
            assert len(receiver.received) == 1
            await eventually(lambda: len(receiver.received) == 2)
        await eventually(lambda: rows(pool, "SELECT id FROM incidents WHERE resolved_at IS NULL"))
    ids = [str(row[0]) for row in await rows(pool, "SELECT id FROM incidents ORDER BY opened_at")]
    assert [_incident_of(message) for message in receiver.received] == ids


async def test_processes_that_cannot_ask_each_other_tell_of_one_incident(
    pool: Pool, receiver: Receiver
) -> None:
    async with AsyncExitStack() as stack:
        each = [await stack.enter_async_context(raising(pool, receiver.alert_url)) for _ in range(3)]
        async with no_room(pool):
            await asyncio.gather(*(alerts.raise_alert(FULL) for alerts in each))
            await eventually(lambda: len(receiver.received) == 3)
        await eventually(lambda: rows(pool, "SELECT id FROM incidents WHERE occurrences = 3"))
    [(incident_id,)] = await rows(pool, "SELECT id FROM incidents")
    assert {_incident_of(message) for message in receiver.received} == {str(incident_id)}
    await deliverer(pool, receiver.alert_url).turn()
    assert len(receiver.received) == 3


@pytest.mark.parametrize("began_apart", [timedelta(seconds=2), timedelta(hours=1)])
async def test_one_outage_that_is_told_in_two_hours_has_one_id_and_else_each_id_its_end(
    pool: Pool, receiver: Receiver, began_apart: timedelta
) -> None:
    """Who has the duty tells it after 2 minutes, and the others after 10."""
    began_at = datetime(2026, 1, 1, 10, 57, tzinfo=UTC)
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(
                raising(pool, receiver.alert_url, clock=ManualClock(began_at + timedelta(minutes=minutes)))
            )
            for minutes in (2, 10)
        ]
        async with no_room(pool):
            await first.raise_alert(replace(FULL, since=began_at))
            await second.raise_alert(replace(FULL, since=began_at + began_apart))
            await eventually(lambda: len(receiver.received) == 2)
        await eventually(lambda: rows(pool, "SELECT id FROM incidents WHERE occurrences = 2"))
    told = {_incident_of(message) for message in receiver.received}
    assert len(told) == (1 if began_apart < timedelta(hours=1) else 2)
    assert await _ended(pool, receiver) == sorted(told)
    states = await rows(pool, "SELECT DISTINCT state FROM alert_deliveries")
    assert (len(receiver.received), states) == (2 + len(told), [("delivered",)])


async def test_an_id_that_an_ended_incident_had_is_ended_once_more(pool: Pool, receiver: Receiver) -> None:
    """A process that was started anew does not know that it has told of it."""
    again = replace(FULL, since=datetime(2026, 1, 1, 10, 30, tzinfo=UTC))
    for times in (1, 2):
        async with raising(pool, receiver.alert_url) as alerts:
            async with no_room(pool):
                await alerts.raise_alert(again)
                await eventually(lambda: len(receiver.received) % 2)
            await eventually(lambda: rows(pool, "SELECT id FROM incidents WHERE resolved_at IS NULL"))
        assert await _ended(pool, receiver) == [_incident_of(receiver.received[0])] * times
    assert len(receiver.received) == 4
    assert len(await rows(pool, "SELECT id FROM incidents")) == 2


@pytest.mark.parametrize("is_told_by_the_outbox", [False, True])
async def test_the_outbox_does_not_tell_again_what_was_told_directly_under_another_id(
    pool: Pool, receiver: Receiver, is_told_by_the_outbox: bool
) -> None:
    worker = deliverer(pool, receiver.alert_url)
    async with _written_by_another(pool, receiver):
        receiver.answer_with(200 if is_told_by_the_outbox else 503)
        await worker.turn()
    assert [title.split("]")[0] for title in receiver.titles] == ["[critical"] * 2
    await worker.turn()
    assert len(receiver.received) == 2
    told = [_incident_of(message) for message in receiver.received]
    assert await _ended(pool, receiver) == sorted(told if is_told_by_the_outbox else told[:1])
    assert (
        sorted(await rows(pool, "SELECT kind, state FROM alert_deliveries"))
        == [
            ("opened", "delivered" if is_told_by_the_outbox else "abandoned"),
            ("opened", "delivered"),
            ("resolved", "delivered"),
            ("resolved", "delivered"),
        ][: 4 if is_told_by_the_outbox else 3]
    )


async def test_what_may_have_arrived_under_two_ids_is_told_no_third_time_and_ends_under_both(
    pool: Pool, receiver: Receiver
) -> None:
    """The answer to the outbox was lost, and it does not try once more."""
    worker = deliverer(pool, receiver.alert_url)
    async with _written_by_another(pool, receiver):
        receiver.answer_with("closes")
        await worker.turn()
    told = {_incident_of(message) for message in receiver.received}
    assert len(told) == 2
    for _ in range(2):
        await worker.turn()
    assert len(receiver.received) == 2
    assert sorted(await rows(pool, "SELECT kind, state FROM alert_deliveries")) == [
        ("opened", "delivered"),
        ("opened", "unknown"),
    ]
    assert await _ended(pool, receiver) == sorted(told)


@asynccontextmanager
async def _written_by_another(pool: Pool, receiver: Receiver) -> AsyncIterator[None]:
    """Another wrote the incident, under its own id, while one tells it directly; that one writes at the end."""
    async with pool.connection() as conn:
        assert await open_incident(conn, FULL)
    async with raising(pool, receiver.alert_url) as alerts:
        async with no_room(pool):
            await alerts.raise_alert(FULL)
            await eventually(lambda: receiver.received)
            yield
        await eventually(lambda: rows(pool, "SELECT id FROM incidents WHERE occurrences = 2"))


async def _ended(pool: Pool, receiver: Receiver) -> list[str]:
    """End what is open; the ids of all ends that were told so far."""
    async with pool.connection() as conn:
        for (incident_id,) in await rows(pool, "SELECT id FROM incidents WHERE resolved_at IS NULL"):
            assert await resolve_incident(conn, incident_id, resolution="there is room")
    for _ in range(2):
        await deliverer(pool, receiver.alert_url).turn()
    return sorted(_incident_of(each) for each in receiver.received if each["title"].startswith("[resolved]"))


async def test_a_database_that_was_slow_and_took_it_is_told_by_the_outbox_alone(
    pool: Pool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raised, "_PATIENCE_SECONDS", 0.2)
    async with (
        asyncio.timeout(5),
        raising(pool, receiver.alert_url) as alerts,
        pool.connection() as conn,
        conn.transaction(),
    ):
        await conn.execute("LOCK TABLE incidents IN ACCESS EXCLUSIVE MODE")
        await alerts.raise_alert(FULL)
    assert receiver.received == []
    await deliverer(pool, receiver.alert_url).turn()
    assert len(receiver.received) == 1


async def test_a_commit_whose_answer_was_lost_is_told_with_the_id_it_was_written_with(
    pool: Pool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second try finds it; and while there is none, what is told has the same id."""
    asked: list[UUID | None] = []

    async def open_and_lose(conn: Connection, alert: Alert, *, incident_id: UUID | None) -> UUID | None:
        asked.append(incident_id)
        opened = await open_incident(conn, alert, incident_id=incident_id)
        if len(asked) == 1:
            raise psycopg.OperationalError("the connection is lost")
        return opened

    monkeypatch.setattr(raised, "open_incident", open_and_lose)
    async with raising(pool, receiver.alert_url) as alerts:
        await alerts.raise_alert(FULL)
        await eventually(lambda: rows(pool, "SELECT id FROM incidents"))
    assert asked[0] is not None
    assert set(asked) == {asked[0]}


def _incident_of(message: dict[str, Any]) -> str:
    found = re.search(r"^Incident: (\S+)$", message["message"], re.MULTILINE)
    assert found
    return found[1]


async def test_what_nobody_could_be_told_directly_is_left_to_the_outbox(
    pool: Pool, receiver: Receiver
) -> None:
    receiver.answer_with(always=503)
    async with raising(pool, receiver.alert_url) as alerts:
        async with no_room(pool):
            await alerts.raise_alert(FULL)
            await eventually(lambda: len(receiver.received) >= 2)
        await eventually(lambda: rows(pool, "SELECT id FROM incidents"))
    [(state, attempts)] = await rows(pool, "SELECT state, attempts FROM alert_deliveries")
    assert (state, attempts) == ("pending", len(receiver.received))


async def test_a_lost_answer_is_followed_by_one_more_try_also_directly(
    pool: Pool, receiver: Receiver
) -> None:
    receiver.answer_with(always="closes")
    async with raising(pool, receiver.alert_url) as alerts:
        async with no_room(pool):
            await alerts.raise_alert(FULL)
            await eventually(lambda: len(receiver.received) == 2)
            await asyncio.sleep(0.2)
        await eventually(lambda: rows(pool, "SELECT id FROM incidents"))
        await deliverer(pool, receiver.alert_url).turn()
    assert len(receiver.received) == 2
    assert await rows(pool, "SELECT state, unanswered FROM alert_deliveries") == [("unknown", 2)]


async def test_who_ends_writes_what_can_be_written_again(pool: Pool) -> None:
    async with raising(pool, first_pause_seconds=60) as alerts, no_room(pool):
        with capture_logs() as logs:
            await alerts.raise_alert(FULL)
            await asyncio.sleep(0.1)
        assert [line["alert"] for line in logs if line["event"] == "alert"] == ["database_full"]
    assert await rows(pool, "SELECT event, occurrences FROM incidents") == [("database_full", 1)]


async def test_a_database_that_is_away_holds_nobody_up(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raised, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(direct, "_HASTY_WRITE_SECONDS", 0.5)
    pool = open_pool("postgresql://nobody@127.0.0.1:1/none", application_name="test", max_size=1)
    loop = asyncio.get_running_loop()
    async with pool, raising(pool, receiver.alert_url) as alerts:
        began = loop.time()
        await alerts.raise_alert(FULL)
        assert loop.time() - began < 8, "the pool alone would wait for ten"
        await eventually(lambda: receiver.received)


async def test_an_alert_that_can_never_be_written_is_told_and_let_go(pool: Pool, receiver: Receiver) -> None:
    async with pool.connection() as conn:
        await conn.execute("ALTER TABLE incidents DROP COLUMN text")
    async with raising(pool, receiver.alert_url) as alerts:
        with capture_logs() as logs:
            await alerts.raise_alert(FULL)
            await eventually(lambda: "incident_never_recorded" in [line["event"] for line in logs])
    assert receiver.titles == ["[critical] No room is left"]
