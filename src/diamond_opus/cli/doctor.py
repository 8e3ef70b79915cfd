"""``diamond doctor``: looks at settings and clocks, tries every connection once, and says what to put right."""

import difflib
import json
import os
import re
import shutil
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import aiohttp
import psycopg
import typer
from rich.markup import escape

from diamond_opus.api.listener import bind
from diamond_opus.cli.alerts import NO_CHANNEL
from diamond_opus.cli.pipeline import JsonOption
from diamond_opus.cli.running import output, prepare, run_async
from diamond_opus.cli.serving import check_start, is_port_free
from diamond_opus.db.errors import describe_address
from diamond_opus.db.migrate import status
from diamond_opus.db.pool import connect
from diamond_opus.domain.clock import Clock, SystemClock
from diamond_opus.domain.errors import DiamondError
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import StoneSource
from diamond_opus.observability.redact import clean_text
from diamond_opus.queue.postgres import PostgresQueue
from diamond_opus.room_settings import alert_channels, supplier_account
from diamond_opus.runs.store import database_time
from diamond_opus.settings import Settings
from diamond_opus.watermark.protocol import Watermark
from diamond_opus.wiring import (
    FEEDS,
    MIGRATION_STEPS,
    Pipeline,
    open_database,
    open_pipeline,
    open_unlimited_sources,
)

OLDEST_POSTGRES, NEWEST_POSTGRES = 15, 18
LEAST_FREE_BYTES = 1024**3

#: By how much the clocks of the database and of this machine may differ. Machines that ask a time server stay far below
#: a second; a signed request is refused from 300 s on.
DOUBTFUL_SECONDS, WRONG_SECONDS = 5, 60

#: Nobody waits for a doctor as long as for a run.
_LONGEST_ANSWER_MS = 10_000
_MOST_DEAD_LETTERS = 100


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


_STYLES = {
    Verdict.OK: "green",
    Verdict.WARNING: "yellow",
    Verdict.FAILED: "bold red",
    Verdict.SKIPPED: "dim",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what to do about it."""

    check: str
    verdict: Verdict
    message: str


class Wrong(DiamondError):
    """Something has to be put right; the message says how."""


class Doubtful(DiamondError):
    """Something works and should be looked at."""


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(as_json: JsonOption = False) -> None:
    """Check the configuration, every connection and the clocks; exit code 1 if anything has to be put right."""
    findings = run_async(examine())
    passed = not any(finding.verdict is Verdict.FAILED for finding in findings)
    if as_json:
        checks = [{"check": f.check, "verdict": f.verdict, "message": f.message} for f in findings]
        print(json.dumps({"ok": passed, "checks": checks}))
    else:
        for finding in findings:
            style = _STYLES[finding.verdict]
            line = f"[{style}]{finding.verdict:<8}[/] [bold]{finding.check:<11}[/] {escape(finding.message)}"
            output.print(line, highlight=False, soft_wrap=True)
    if not passed:
        raise typer.Exit(1)


async def examine(clock: Clock | None = None) -> Sequence[Finding]:
    """Every check in order; what a failed one makes pointless is skipped. ``clock`` stands for this machine's."""
    try:
        settings = prepare("doctor", quiet=True)
        check_start(settings)
    except DiamondError as error:
        return [Finding("settings", Verdict.FAILED, str(error))]
    async with AsyncExitStack() as stack:
        return await _Examination(settings, stack, clock or SystemClock()).findings()


class _Examination:
    """The checks share one database and one pipeline, which are closed with ``stack``."""

    def __init__(self, settings: Settings, stack: AsyncExitStack, clock: Clock) -> None:
        # One try, and a short one: a doctor says what is wrong now.
        self._settings = settings.model_copy(
            update={
                "nivoda_request_tries": 1,
                "nivoda_request_timeout_ms": min(settings.nivoda_request_timeout_ms, _LONGEST_ANSWER_MS),
                "pg_conn_timeout_ms": min(settings.pg_conn_timeout_ms, _LONGEST_ANSWER_MS),
            }
        )
        self._stack = stack
        self._clock = clock
        self._url = ""
        self._pipeline: Pipeline | None = None
        self._failed: set[str] = set()

    async def findings(self) -> Sequence[Finding]:
        budget = () if self._settings.supplier_is_simulator else ("database", "migrations")
        return [
            await self._check("settings", self._names),
            await self._check("home", self._home),
            await self._check("database", self._database),
            await self._check("version", self._version, needs=("database",)),
            await self._check("clock", self._clocks, needs=("database",)),
            await self._check("migrations", self._migrations, needs=("database",)),
            await self._check("queues", self._queues, needs=("database", "migrations")),
            await self._check("watermark", self._watermark, needs=("database", "migrations")),
            await self._check("supplier", self._supplier, needs=budget),
            await self._check("alerts", self._alerts),
            *([await self._check("job", self._job, needs=("database",))] if self._has_job else []),
            await self._check("port", self._port),
        ]

    async def _check(
        self, name: str, look: Callable[[], Awaitable[str]], *, needs: Collection[str] = ()
    ) -> Finding:
        missing = [need for need in needs if need in self._failed]
        if missing:
            self._failed.add(name)
            return Finding(name, Verdict.SKIPPED, f"first put right: {', '.join(missing)}")
        try:
            return Finding(name, Verdict.OK, await look())
        except Doubtful as doubt:
            return Finding(name, Verdict.WARNING, str(doubt))
        except (DiamondError, psycopg.Error, OSError) as error:
            self._failed.add(name)
            return Finding(name, Verdict.FAILED, " ".join(str(error).split()))

    async def _names(self) -> str:
        strangers = misspelt_names({*os.environ, *_names_in(Path(".env.local"))}, Settings.model_fields)
        if strangers:
            told = "; ".join(f"{name} is no setting, did you mean {meant}?" for name, meant in strangers)
            raise Doubtful(f"valid, but {told}")
        return "valid, from the environment and .env.local"

    async def _home(self) -> str:
        if self._settings.server_url is not None:
            return "not needed: the database is elsewhere"
        home = self._settings.diamond_home.absolute()
        folder = next(path for path in (home, *home.parents) if path.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise Wrong(f"{home} cannot be written to; set DIAMOND_HOME to a folder of yours")
        free = shutil.disk_usage(folder).free
        told = f"{home} is writable, {free / 1024**3:.1f} GB are free"
        if free < LEAST_FREE_BYTES:
            raise Wrong(f"{told}: too little; make room, or set DIAMOND_HOME to a bigger disk")
        return told

    async def _database(self) -> str:
        url = await self._stack.enter_async_context(open_database(self._settings))
        async with await connect(url, application_name="diamond doctor"):
            self._url = url
        pipeline = open_pipeline(self._settings, url, service="doctor")
        self._pipeline = await self._stack.enter_async_context(pipeline)
        kind = "the configured server" if self._settings.server_url else "the embedded server"
        return f"{kind} answers: {describe_address(url)}"

    async def _version(self) -> str:
        async with await connect(self._url, application_name="diamond doctor") as conn:
            number = conn.info.server_version
        told = f"PostgreSQL {number // 10_000}.{number % 10_000}"
        if number // 10_000 < OLDEST_POSTGRES:
            raise Wrong(f"{told} is too old; use {OLDEST_POSTGRES} to {NEWEST_POSTGRES}")
        if number // 10_000 > NEWEST_POSTGRES:
            raise Doubtful(f"{told} is newer than any this release was tried with ({NEWEST_POSTGRES})")
        return told

    async def _clocks(self) -> str:
        async with await connect(self._url, application_name="diamond doctor") as conn:
            asked_at, asked = self._clock.now(), self._clock.monotonic()
            theirs = await database_time(conn)
            ours = asked_at + timedelta(seconds=self._clock.monotonic() - asked) / 2
        apart = abs((theirs - ours).total_seconds())
        shows = f"the database's clock shows {theirs:%Y-%m-%d %H:%M:%S} UTC"
        if apart < DOUBTFUL_SECONDS:
            return f"{shows}, {apart:.1f} s from this machine's"
        told = (
            f"{shows} and this machine's {ours:%Y-%m-%d %H:%M:%S} UTC, {apart:,.0f} s apart; set the wrong one by a "
            "time server: runs and the watermark go by the database's, schedules and API keys by this machine's"
        )
        raise Doubtful(told) if apart < WRONG_SECONDS else Wrong(told)

    async def _migrations(self) -> str:
        async with await connect(self._url, application_name="diamond doctor") as conn:
            steps = await status(conn, steps=MIGRATION_STEPS)
        missing = [step.version for step in steps if step.applied_at is None]
        unknown = [step.version for step in steps if not step.known]
        if missing:
            raise Wrong(f"{len(missing)} are pending ({', '.join(missing)}); apply them: diamond db migrate")
        if unknown:
            raise Doubtful(
                f"the database has {', '.join(unknown)}, which this release lacks: a newer one was here"
            )
        return f"all {len(steps)} are applied"

    async def _queues(self) -> str:
        told, dead = [], 0
        for name, queue in self._wired.queues.items():
            dead += len(await queue.dead_letters(_MOST_DEAD_LETTERS))
            if isinstance(queue, PostgresQueue):
                depth = await queue.depth()
                told.append(f"{name} {depth.visible + depth.hidden}")
        where = f"messages waiting: {', '.join(told)}" if told else "Azure Service Bus has all of them"
        if dead:
            several = f"{dead} or more" if dead >= _MOST_DEAD_LETTERS else str(dead)
            raise Doubtful(f"{where}; {several} dead letters: the dashboard says why each was set aside")
        return where

    async def _watermark(self) -> str:
        marks = {feed: await self._wired.watermarks.read(feed) for feed in FEEDS}
        async with await connect(self._url, application_name="diamond doctor") as conn:
            now = await database_time(conn)
        where = "in Azure Blob Storage, " if self._settings.uses_blob_storage else ""
        told = where + "; ".join(f"{feed}: {_describe(mark, now)}" for feed, mark in marks.items())
        if any(mark and mark.last_updated_at > now for mark in marks.values()):
            raise Doubtful(
                f"{told}; the database's clock shows {now:%Y-%m-%d %H:%M:%S} UTC: set it, if it is wrong; the next run "
                "reads everything and sets the watermark right: diamond schedule"
            )
        return told

    async def _supplier(self) -> str:
        account = supplier_account(self._settings)
        told = []
        for feed, source in (await self._sources()).items():
            try:
                natural = await source.count(Selection(lab_grown=False))
            except DiamondError as error:
                raise Wrong(self._explain(feed, clean_text(account.endpoint), str(error))) from error
            told.append(f"{feed} knows the account {account.username} and has {natural:,} natural stones")
        return f"{'; '.join(told)} ({clean_text(account.endpoint)})"

    async def _sources(self) -> Mapping[str, StoneSource]:
        if "migrations" not in self._failed:
            return self._wired.sources
        # Only the simulator is asked without a database, or one without our tables: nothing is written about it.
        return await self._stack.enter_async_context(open_unlimited_sources(self._settings))

    def _explain(self, feed: str, endpoint: str, reason: str) -> str:
        if self._settings.supplier_is_simulator:
            return (
                f"{feed}: the simulator at {endpoint} cannot be used ({reason}); start it with: diamond simulator, "
                "or set NIVODA_ENDPOINT, NIVODA_USERNAME and NIVODA_PASSWORD"
            )
        advice = (
            ""
            if "check NIVODA" in reason
            else "; check NIVODA_ENDPOINT, the network and the supplier's status"
        )
        return f"{feed} at {endpoint}: {reason}{advice}"

    async def _alerts(self) -> str:
        channels = alert_channels(self._settings)
        if channels:
            told = ", ".join(f"{channel.name} ({channel.least} and worse)" for channel in channels)
            return f"{told}; prove them: diamond alerts test"
        if self._settings.supplier_is_simulator:
            return f"to the log only: {NO_CHANNEL}"
        raise Doubtful(f"nobody is told of trouble: {NO_CHANNEL}")

    @property
    def _has_job(self) -> bool:
        return self._settings.azure_scheduler_job_name is not None

    async def _job(self) -> str:
        job = self._wired.scheduler_job
        assert job is not None  # noqa: S101 - it is wired whenever it has a name
        return f"{self._settings.azure_scheduler_job_name} runs {await job.read_image()}"

    async def _port(self) -> str:
        host, port = self._settings.host, self._settings.port
        if not is_port_free(host, port) and await _is_ours(port):
            return f"{port} of {host} is the API's, which runs"
        bind(host, port).close()
        return f"{port} of {host} is free for the API"

    @property
    def _wired(self) -> Pipeline:
        if self._pipeline is None:
            raise Wrong("the database has to answer first")
        return self._pipeline


def _describe(watermark: Watermark | None, now: datetime) -> str:
    if watermark is None:
        return "none yet: the first run is a full one"
    at = f"{watermark.last_updated_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{at}, which lies in the future" if watermark.last_updated_at > now else at


async def _is_ours(port: int) -> bool:
    """Whether an API answers there: beside one that runs, as in its container, the port is rightly in use."""
    timeout = aiohttp.ClientTimeout(total=_LONGEST_ANSWER_MS / 1000)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(f"http://127.0.0.1:{port}/ready") as answer,
        ):
            told = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
    return isinstance(told, dict) and "components" in told


def _names_in(file: Path) -> Sequence[str]:
    try:
        return re.findall(r"^\s*(?:export\s+)?(\w+)\s*=", file.read_text(encoding="utf-8"), re.MULTILINE)
    except FileNotFoundError:
        return ()


def misspelt_names(environment: Collection[str], fields: Collection[str]) -> Sequence[tuple[str, str]]:
    """Variables that look like one of our settings and are none, each with the one that was meant.

    >>> misspelt_names(["NIVODA_ENDPIONT", "HOME", "PORT"], ["nivoda_endpoint", "port"])
    [('NIVODA_ENDPIONT', 'NIVODA_ENDPOINT')]
    """
    known = {field.upper() for field in fields}
    found = []
    for name in sorted(set(environment) - known):
        meant = difflib.get_close_matches(name, known, n=1, cutoff=0.87)
        if meant and len(name) > 6:
            found.append((name, meant[0]))
    return found
