"""``diamond alerts``: prove the channels, look at incidents, end one by hand."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from diamond_opus.alerts.channels import Channel
from diamond_opus.alerts.deliver import Proof
from diamond_opus.alerts.incidents import (
    Incident,
    UnknownIncident,
    count_incidents,
    end_by_hand,
    list_incidents,
    list_open,
)
from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.alerts.transport import Outcome
from diamond_opus.analytics.rows import camel
from diamond_opus.cli.pipeline import JsonOption
from diamond_opus.cli.running import actor, console, output, prepare, run_async
from diamond_opus.cli.serving import check_schema
from diamond_opus.db.pool import Connection, connect
from diamond_opus.room_settings import alert_channels, check_settings
from diamond_opus.settings import Settings
from diamond_opus.wiring import open_database, open_pipeline

alerts = typer.Typer(help="Alerts: whether they arrive, and what is wrong.", no_args_is_help=True)

NO_CHANNEL = (
    "no channel is configured: set ALERT_URLS, such as slack://..., or RESEND_API_KEY with ALERT_EMAIL_TO and "
    "ALERT_EMAIL_FROM"
)
_MOST_LISTED = 100
_COLORS = {
    Severity.INFO: "dim",
    Severity.WARNING: "yellow",
    Severity.ERROR: "red",
    Severity.CRITICAL: "bold red",
}
_WORDS = {
    Outcome.DELIVERED: "delivered",
    Outcome.AWAY: "not delivered",
    Outcome.UNKNOWN: "unknown: the answer was lost",
}


@alerts.command(name="test")
def prove(
    severity: Annotated[
        Severity, typer.Option("--severity", help="How bad it claims to be: who gets only worse is not told.")
    ] = Severity.CRITICAL,
) -> None:
    """Tell every channel of an incident that is none, and of its end. Exit code 1 unless all have both."""
    settings = prepare("alerts", quiet=True)
    check_settings(settings)
    channels = alert_channels(settings)
    if not channels:
        console.print(NO_CHANNEL, highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1)
    proofs = run_async(_prove(settings, severity))
    for line in _told(channels, proofs, severity):
        print(line)
    if not proofs or any(proof.answer.outcome is not Outcome.DELIVERED for proof in proofs):
        raise typer.Exit(1)


async def _prove(settings: Settings, severity: Severity) -> Sequence[Proof]:
    alert = Alert(
        severity,
        "test",
        "This is a test",
        f"{actor()} tries whether alerts arrive. Nothing is wrong.",
        cause="Somebody asked for it: diamond alerts test",
        action="Nothing has to be done.",
    )
    async with open_database(settings) as url:
        await check_schema(settings, url)
        async with open_pipeline(settings, url, service="alerts", needs_source=False) as pipeline:
            return await pipeline.deliverer().prove(alert)


def _told(channels: Sequence[Channel], proofs: Sequence[Proof], severity: Severity) -> Sequence[str]:
    """A line for each message, and for each channel that gets none of this severity."""
    lines = [
        f"{proof.channel} {proof.kind.value}: {_WORDS[proof.answer.outcome]}"
        + (f" ({proof.answer.reason})" if proof.answer.reason else "")
        for proof in proofs
    ]
    left_out = [channel for channel in channels if not severity.reaches(channel.least)]
    return [
        *lines,
        *(f"{channel.name}: not told, it gets {channel.least.value} and worse" for channel in left_out),
    ]


@alerts.command(name="list")
def list_command(
    every: Annotated[bool, typer.Option("--all", help="Those that are over too, the newest first.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What is wrong now."""
    incidents, older = run_async(_list(prepare("alerts", quiet=True), every))
    if as_json:
        print(json.dumps([_as_json(incident) for incident in incidents]))
    else:
        _print_table("Incidents" if every else "Open incidents", incidents)
    if older:
        console.print(f"… and {older:,} older", highlight=False)


def _print_table(title: str, incidents: Sequence[Incident]) -> None:
    table = Table(title=title)
    for column in ("id", "severity", "what", "title", "since (UTC)", "seen", "over (UTC)"):
        table.add_column(column, overflow="fold")
    for incident in incidents:
        table.add_row(
            str(incident.id),
            f"[{_COLORS[incident.severity]}]{incident.severity}[/]",
            incident.event,
            escape(incident.title),
            f"{incident.since:%Y-%m-%d %H:%M}",
            f"{incident.occurrences:,}",
            f"{incident.resolved_at:%Y-%m-%d %H:%M}" if incident.resolved_at else "",
        )
    output.print(table)


async def _list(settings: Settings, every: bool) -> tuple[Sequence[Incident], int]:
    """Those to show, and how many more there are."""
    async with _connected(settings) as conn:
        if not every:
            return await list_open(conn), 0
        newest = await list_incidents(conn, limit=_MOST_LISTED)
        return newest, max(0, await count_incidents(conn) - len(newest))


@alerts.command()
def resolve(
    incident_id: Annotated[UUID, typer.Argument(metavar="ID", help="See: diamond alerts list")],
    note: Annotated[str, typer.Option("--note", help="What was done; the channels are told.")] = "",
) -> None:
    """End an incident by hand; if it is still so, it is opened anew when it is seen."""
    incident = run_async(_resolve(prepare("alerts", quiet=True), incident_id, note))
    console.print(f"{incident_id} ({incident.title}) is over.", highlight=False, markup=False)


async def _resolve(settings: Settings, incident_id: UUID, note: str) -> Incident:
    async with _connected(settings) as conn:
        try:
            return await end_by_hand(conn, incident_id, actor=actor(), note=note)
        except UnknownIncident as error:
            raise UnknownIncident(f"{error}; see: diamond alerts list --all") from error


def print_open(where: Console, incidents: Sequence[Incident]) -> None:
    """Two lines for ``diamond status``: how many, and the worst of them."""
    if not incidents:
        return
    worst = max(incidents, key=lambda incident: list(Severity).index(incident.severity))
    several = "1 incident is" if len(incidents) == 1 else f"{len(incidents)} incidents are"
    where.print(f"[{_COLORS[worst.severity]}]{several} open[/]; see: diamond alerts list", highlight=False)
    where.print(
        f"  {worst.severity}: {escape(worst.title)} (since {worst.since:%Y-%m-%d %H:%M} UTC)",
        highlight=False,
        soft_wrap=True,
    )


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Connection]:
    async with open_database(settings) as url:
        await check_schema(settings, url)
        async with await connect(url, application_name="diamond alerts") as conn:
            yield conn


def _as_json(incident: Incident) -> dict[str, Any]:
    return {camel(name): _plain(value) for name, value in asdict(incident).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value
