"""``diamond alerts``: what proves the channels, lists incidents and ends one; and where else they are told."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from cli_processes import Command
from typer.testing import CliRunner, Result

from alert_parts import eventually
from alert_receiver import Receiver
from diamond_opus.alerts.incidents import IncidentOver, UnknownIncident, open_incident
from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.cli.app import app
from diamond_opus.cli.doctor import Verdict, examine
from diamond_opus.db.pool import connect

USE = Callable[..., None]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def begin(database_url: str, event: str, severity: Severity = Severity.ERROR) -> UUID:
    async def write() -> UUID | None:
        async with await connect(database_url, application_name="test") as conn:
            return await open_incident(conn, Alert(severity, event, f"[red]{event}", "It happened."))

    opened = asyncio.run(write())
    assert opened is not None
    return opened


def test_a_test_reaches_every_channel_with_beginning_and_end(
    settings_of: USE, database_url: str, receiver: Receiver
) -> None:
    settings_of(
        database_url=database_url, alert_urls=f"{receiver.alert_url} critical={receiver.alert_url}night"
    )
    made = call("alerts", "test", "--severity", "error")
    assert made.exit_code == 0
    told, ended, left_out = made.stdout.splitlines()
    assert told.startswith("json-")
    assert told.endswith(" opened: delivered")
    assert ended.endswith(" resolved: delivered")
    assert left_out.endswith(": not told, it gets critical and worse")
    assert receiver.titles == ["[error] This is a test", "[resolved] This is a test"]
    assert json.loads(call("alerts", "list", "--json").stdout) == []


def test_a_channel_that_refuses_is_an_exit_code_and_leaves_nothing_to_be_sent(
    settings_of: USE, database_url: str, receiver: Receiver
) -> None:
    receiver.answer_with(always=401)
    with Receiver() as other:
        settings_of(database_url=database_url, alert_urls=f"{receiver.alert_url} {other.alert_url}")
        made = call("alerts", "test")
        assert len(other.received) == 2
    assert made.exit_code == 1
    assert " opened: not delivered (HTTP 401)" in made.stdout
    assert len(receiver.received) == 1, "of the end only who had the beginning is told"
    with psycopg.connect(database_url) as conn:
        [unsettled] = (
            conn.execute("SELECT count(*) FROM alert_deliveries WHERE settled_at IS NULL").fetchone() or ()
        )
    assert unsettled == 0


def test_without_a_channel_it_says_what_to_set(settings_of: USE, database_url: str) -> None:
    settings_of(database_url=database_url)
    made = call("alerts", "test")
    assert made.exit_code == 1
    assert "set ALERT_URLS" in made.stderr


def test_what_is_open_is_listed_shown_with_the_status_and_ended_by_hand(
    settings_of: USE, database_url: str
) -> None:
    settings_of(database_url=database_url)
    assert "incident" not in call("status").stdout
    first = begin(database_url, "run_timed_out")
    begin(database_url, "order_unknown", Severity.CRITICAL)
    shown = call("status").stdout
    assert "2 incidents are open; see: diamond alerts list" in shown
    assert "critical: [red]order_unknown" in shown
    ended = call("alerts", "resolve", str(first), "--note", "it was retried")
    assert f"{first} ([red]run_timed_out) is over." in ended.stderr
    [still] = json.loads(call("alerts", "list", "--json").stdout)
    assert (still["event"], still["resolvedAt"], still["occurrences"]) == ("order_unknown", None, 1)
    both = json.loads(call("alerts", "list", "--all", "--json").stdout)
    assert "ended it: it was retried" in both[1]["resolution"]
    assert "[red]order_unknown" in call("alerts", "list").stdout
    with psycopg.connect(database_url) as conn:
        acts = conn.execute("SELECT action, subject, details->>'note' FROM audit_log").fetchall()
    assert acts == [("incident.resolve", str(first), "it was retried")]
    with pytest.raises(IncidentOver, match=r"is over: .* ended it: it was retried"):
        call("alerts", "resolve", str(first))
    with pytest.raises(UnknownIncident, match="diamond alerts list"):
        call("alerts", "resolve", str(uuid4()))


def test_what_is_older_than_those_listed_is_counted(settings_of: USE, database_url: str) -> None:
    settings_of(database_url=database_url)
    begin(database_url, "run_timed_out")
    assert "older" not in call("alerts", "list", "--all").stderr
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO incidents (event, subject, severity, title, text)"
            " SELECT 'e', number::text, 'info', 't', 'x' FROM generate_series(1, 1300) AS number"
        )
    assert "… and 1,201 older" in call("alerts", "list", "--all").stderr
    assert len(json.loads(call("alerts", "list", "--all", "--json").stdout)) == 100


async def test_a_test_that_is_interrupted_leaves_nothing_open_and_waits_for_no_channel(
    diamond: Command, database_url: str, receiver: Receiver
) -> None:
    receiver.answer_with(always="hangs")
    async with diamond.started(
        "alerts", "test", database_url=database_url, alert_urls=receiver.alert_url
    ) as process:
        await eventually(lambda: receiver.received)
        code, _ = await process.stop(signal.SIGINT)
    assert code == 130
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT resolution FROM incidents").fetchall() == [("the test was broken off",)]


async def test_the_doctor_says_who_is_told(settings_of: USE, database_url: str, receiver: Receiver) -> None:
    settings_of(database_url=database_url, alert_urls=f"error={receiver.alert_url}")
    [finding] = [finding for finding in await examine() if finding.check == "alerts"]
    assert finding.verdict is Verdict.OK
    assert "(error and worse)" in finding.message
    assert str(receiver.port) not in finding.message
    elsewhere = {"nivoda_endpoint": "http://127.0.0.1:9/", "nivoda_username": "u", "nivoda_password": "p"}
    settings_of(database_url=database_url, alert_urls="", **elsewhere)
    [finding] = [finding for finding in await examine() if finding.check == "alerts"]
    assert (finding.verdict, "ALERT_URLS" in finding.message) == (Verdict.WARNING, True)


async def test_a_process_that_stays_delivers(diamond: Command, database_url: str, receiver: Receiver) -> None:
    await asyncio.to_thread(begin, database_url, "run_timed_out")
    async with diamond.started(
        "worker", database_url=database_url, alert_urls=receiver.alert_url, log_format="json"
    ) as process:
        await process.log("alert_sent")
        code, _ = await process.stop()
    assert code == 0
    assert receiver.titles == ["[error] [red]run_timed_out"]


async def test_a_run_that_cannot_even_be_planned_tells_what_is_open_before_it_ends(
    diamond: Command, database_url: str, receiver: Receiver
) -> None:
    await asyncio.to_thread(begin, database_url, "run_timed_out")
    ended = await asyncio.to_thread(
        diamond,
        "run",
        database_url=database_url,
        alert_urls=receiver.alert_url,
        nivoda_request_tries=1,
        simulator_port=1,
    )
    assert ended.returncode == 1
    assert sorted(receiver.titles) == [
        "[error] [red]run_timed_out",
        "[warning] No run of nivoda could be planned",
    ]


def test_an_address_that_is_wrong_stops_every_command_that_works(diamond: Command) -> None:
    for command in ("worker", "run", "doctor"):
        ended = diamond(command, alert_urls="slack://hunter2")
        assert ended.returncode in (1, 2)
        assert "ALERT_URLS: address 1 of 1 is refused" in ended.stdout + ended.stderr
        assert "hunter2" not in ended.stdout + ended.stderr
