"""The processes that stay: ``worker``, ``consolidator``, ``api``, and ``up``, which is all of them in one."""

import asyncio
import gc
import json
import os
import socket
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import typer

from diamond_opus.api.listener import bind
from diamond_opus.cli.drive import plan
from diamond_opus.cli.follow import SilentView
from diamond_opus.cli.idle import consolidate_until_idle, work_until_idle
from diamond_opus.cli.monitoring import monitored_on, monitoring_port
from diamond_opus.cli.running import prepare, record_traces, run_async, stop_on_signals
from diamond_opus.cli.serving import check_start, ensure_schema, run_together
from diamond_opus.db.errors import describe_address
from diamond_opus.observability.logging import get_logger
from diamond_opus.runs.model import RunType
from diamond_opus.schedule.cron import CronScheduler, CronSettings
from diamond_opus.settings import Settings
from diamond_opus.wiring import FEEDS, Pipeline, open_database, open_pipeline

log = get_logger("cli")

#: What a process takes beside its consumers' connections: for the queues' own calls, the sweeper and housekeeping.
_SPARE_CONNECTIONS = 2


def register(app: typer.Typer) -> None:
    for command in (up, worker, consolidator, api, openapi):
        app.command()(command)


def worker(
    until_idle: Annotated[
        bool,
        typer.Option(
            "--until-idle",
            help="Exit 0 when nothing is left for a worker: nothing queued, nothing due, nothing waiting for its next "
            "attempt. A partition that another worker holds is left to it once it has renewed its lease; "
            "a lease that nobody renews is waited for and the partition is taken over.",
        ),
    ] = False,
) -> None:
    """Read the partitions of planned runs. SIGTERM gives back what is not done, within 10 s."""
    settings = prepare("worker")
    check_start(settings)
    record_traces("worker", settings)
    os.nice(settings.process_niceness)
    # What ends by itself is watched by whoever started it.
    with nullcontext() if until_idle else monitoring_port(settings) as listener:
        run_async(_worker(settings, until_idle, listener))


async def _worker(settings: Settings, until_idle: bool, listener: socket.socket | None) -> None:
    async with _process(settings, "worker", least_connections=2) as process:
        if until_idle:
            await work_until_idle(process.pipeline, process.stop)
            await process.pipeline.deliverer().flush()
        else:
            await process.run(process.pipeline.consume_work(process.stop), *process.monitored_on(listener))


def consolidator(
    until_idle: Annotated[
        bool,
        typer.Option(
            "--until-idle",
            help="Exit 0 when no run waits for consolidation, for another try of it, or for its end. "
            "Runs that are still read are not waited for.",
        ),
    ] = False,
) -> None:
    """Turn what runs have read into priced diamonds, and end the runs. SIGTERM gives back what is not done."""
    settings = prepare("consolidator")
    check_start(settings)
    record_traces("consolidator", settings)
    os.nice(settings.process_niceness)
    # What ends by itself is watched by whoever started it.
    with nullcontext() if until_idle else monitoring_port(settings) as listener:
        run_async(_consolidator(settings, until_idle, listener))


async def _consolidator(settings: Settings, until_idle: bool, listener: socket.socket | None) -> None:
    least = settings.consolidator_concurrency + _SPARE_CONNECTIONS
    async with _process(settings, "consolidator", least_connections=least) as process:
        if until_idle:
            await consolidate_until_idle(process.pipeline, process.stop)
            await process.pipeline.deliverer().flush()
        else:
            await process.run(
                process.pipeline.consume_consolidation(process.stop),
                process.pipeline.caretaker().run(process.stop),
                *process.monitored_on(listener),
            )


def api() -> None:
    """Serve the API on HOST and PORT; prints its address when it is ready."""
    settings = prepare("api")
    check_start(settings)
    record_traces("api", settings)
    with bind(settings.host, settings.port) as listener, monitoring_port(settings) as watched:
        run_async(_api(settings, listener, watched))


async def _api(settings: Settings, listener: socket.socket, watched: socket.socket | None) -> None:
    from diamond_opus.cli.api_server import serve_api

    async with _process(settings, "api") as process:
        await process.run(
            serve_api(process.pipeline, process.url, listener, process.stop, _tell_ready),
            process.pipeline.trade_watch().run(process.stop),
            *process.monitored_on(watched),
        )


def up() -> None:
    """Everything in one process, for a small shop: API, worker, consolidator, and runs by SCHEDULER_CRON."""
    settings = prepare("up")
    check_start(settings)
    record_traces("up", settings)
    with bind(settings.host, settings.port) as listener, monitoring_port(settings) as watched:
        run_async(_up(settings, listener, watched))


async def _up(settings: Settings, listener: socket.socket, watched: socket.socket | None) -> None:
    from diamond_opus.cli.api_server import serve_api

    least = settings.consolidator_concurrency + 2 * _SPARE_CONNECTIONS
    async with _process(settings, "up", least_connections=least) as process:
        pipeline, stop = process.pipeline, process.stop
        await process.run(
            serve_api(pipeline, process.url, listener, stop, _tell_ready),
            pipeline.consume_work(stop),
            pipeline.consume_consolidation(stop),
            pipeline.trade_watch().run(stop),
            pipeline.caretaker().run(stop),
            *(_cron(pipeline, feed).run(stop) for feed in FEEDS),
            *process.monitored_on(watched),
        )


def _cron(pipeline: Pipeline, feed: str) -> CronScheduler:
    settings = pipeline.settings

    async def start_run(run_type: RunType | None) -> UUID:
        return (await plan(pipeline, feed, run_type, SilentView())).run_id

    return CronScheduler(
        pool=pipeline.pool,
        feed=feed,
        start_run=start_run,
        settings=CronSettings(
            nightly=settings.scheduler_cron,
            full=settings.full_run_cron,
            nightly_type=RunType(settings.run_type) if settings.run_type else None,
        ),
        holder=pipeline.process_id,
        clock=pipeline.clock,
    )


def openapi() -> None:
    """Print the API's OpenAPI document; needs neither settings nor a database."""
    from diamond_opus.api.openapi import openapi_document

    print(json.dumps(openapi_document(), indent=2))


@dataclass(frozen=True, slots=True)
class _Process:
    """A wired process, the address of its database, and the event that ends it."""

    pipeline: Pipeline
    url: str
    stop: asyncio.Event

    async def run(self, *parts: Coroutine[Any, Any, Any]) -> None:
        """All parts until a signal comes, and beside them what any process does, so that nothing is stranded at zero
        workers: the sweeper, who looks for trouble, and who tells the channels of it.
        """
        log.info("process_started", database=describe_address(self.url))
        pipeline, stop = self.pipeline, self.stop
        await run_together(
            stop,
            *parts,
            pipeline.sweeper().run(stop),
            pipeline.incident_watch().run(stop),
            pipeline.deliverer().run(stop),
        )
        log.info("process_stopped")

    def monitored_on(self, listener: socket.socket | None) -> Sequence[Coroutine[Any, Any, Any]]:
        """The part that answers those who watch, where there is a port for it."""
        return monitored_on(listener, self.pipeline, self.stop)


@asynccontextmanager
async def _process(
    settings: Settings, service: str, *, least_connections: int = 1
) -> AsyncIterator[_Process]:
    """Signals are caught from before the database is started until after it is stopped."""
    async with stop_on_signals() as stop, open_database(settings) as url:
        await ensure_schema(url)
        async with open_pipeline(
            settings, url, service=service, least_connections=least_connections
        ) as pipeline:
            yield _Process(pipeline, url, stop)


def _tell_ready(address: str) -> None:
    """What was made until now stays for good: looking through it for garbage would stop every question for 0.1 s."""
    gc.collect()
    gc.freeze()
    print(address, flush=True)
