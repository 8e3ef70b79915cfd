"""``diamond demo``: the whole product on a fresh machine, with nothing simulated but the supplier."""

import asyncio
import json
import logging
import socket
from collections.abc import Coroutine
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import typer

from diamond_opus.analytics.runs import RunFilter, list_runs
from diamond_opus.api.listener import bind
from diamond_opus.cli.demo_home import DemoHome
from diamond_opus.cli.demo_simulator import running_simulator
from diamond_opus.cli.demo_summary import print_summary, summarise
from diamond_opus.cli.drive import drive, plan
from diamond_opus.cli.follow import view_for
from diamond_opus.cli.monitoring import monitored_on, monitoring_port
from diamond_opus.cli.pipeline import JsonOption
from diamond_opus.cli.report import print_run
from diamond_opus.cli.running import (
    actor,
    console,
    output,
    prepare,
    record_traces,
    run_async,
    stop_on_signals,
)
from diamond_opus.cli.serving import check_start, run_together
from diamond_opus.db.errors import describe_address
from diamond_opus.db.pool import connect
from diamond_opus.domain.errors import DiamondError
from diamond_opus.keys.api_keys import create_key, find_key, hash_key, list_keys, revoke_key
from diamond_opus.keys.permissions import Permission
from diamond_opus.runs import store
from diamond_opus.runs.model import Run, RunState, RunType
from diamond_opus.settings import Settings
from diamond_opus.wiring import FEEDS, open_database, open_pipeline

Result = TypeVar("Result")

KEY_NAME = "demo"
_PATIENCE_SECONDS = 3.0
_FEED = FEEDS[0]
_APPLICATION = "diamond demo"


class Interrupted(DiamondError):
    """Somebody asked the demo to stop before its run was over."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    stones: int
    seed: int
    once: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where the demo serves, and where those who watch it ask, if MONITORING_PORT says so."""

    api: socket.socket
    watched: socket.socket | None


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    stones: Annotated[
        int, typer.Option(min=1, max=5_000_000, help="How many the simulated supplier has.")
    ] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same stones.")] = 7,
    once: Annotated[bool, typer.Option("--once", help="End after the run; do not serve.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show it all: a real PostgreSQL, a simulated supplier, one full run, the priced catalogue and the API.

    The data stays in DIAMOND_HOME; the same stones and seed are not read again.
    """
    options = Options(stones, seed, once, as_json)
    settings = _prepare(quiet=console.is_terminal or as_json)
    check_start(settings)
    record_traces("demo", settings)
    try:
        if once:
            run = run_async(_demo(settings, options, None))
        else:
            with (
                closing(bind(settings.host, settings.port)) as listener,
                monitoring_port(settings) as watched,
            ):
                run = run_async(_demo(settings, options, Listeners(listener, watched)))
    except Interrupted:
        console.print("Stopped; the same command goes on where it was.")
        raise typer.Exit(130) from None
    if run.state is not RunState.COMPLETED:
        raise typer.Exit(1)


def _prepare(*, quiet: bool) -> Settings:
    """The settings, but whatever the environment says a demo never asks a real supplier, nor Azure.

    The simulator's odd answers are told by the summary; one warning for each would bury the bars.
    """
    settings = prepare("demo", quiet=quiet)
    if quiet and settings.log_level == "INFO":
        logging.getLogger().setLevel(logging.ERROR)
    elsewhere = [name for name in Settings.model_fields if name.startswith("azure_")]
    suppliers = ["nivoda_endpoint", "nivoda_username", "nivoda_password", "nivoda_filter"]
    return settings.model_copy(update=dict.fromkeys(suppliers + elsewhere))


async def _demo(settings: Settings, options: Options, listeners: Listeners | None) -> Run:
    """Start what is needed, in the order in which it is stopped again at the end, whatever happens."""
    async with stop_on_signals() as stop, AsyncExitStack() as stack:
        with console.status("Starting PostgreSQL ..."):
            url = await stack.enter_async_context(open_database(settings))
        console.print(f"PostgreSQL  {describe_address(url)}", highlight=False)
        home = DemoHome(settings.diamond_home, url, is_ours=settings.server_url is None)
        filled_by = await _until(stop, home.prepare(options.stones, options.seed))
        if filled_by is None or listeners is not None:
            supplier = running_simulator(
                stones=options.stones, seed=options.seed, port=settings.simulator_port
            )
            with console.status(f"Making {options.stones:,} stones of seed {options.seed} ..."):
                endpoint = await _until(stop, stack.enter_async_context(supplier))
            console.print(f"Supplier    {endpoint} (simulated)", highlight=False)
            settings = settings.model_copy(update={"simulator_port": urlsplit(endpoint).port})
        if filled_by is None:
            run = await _read_and_price(settings, url, home, options, stop)
        else:
            run = await _known_run(url, UUID(filled_by))
            inventory = f"{options.stones:,} stones of seed {options.seed}"
            console.print(f"The {inventory} are here already: nothing is read again.", highlight=False)
        example = await _tell(url, run, options)
        if listeners is not None and run.state is RunState.COMPLETED:
            await _serve(settings, url, listeners, example, stop, home)
    return run


async def _read_and_price(
    settings: Settings, url: str, home: DemoHome, options: Options, stop: asyncio.Event
) -> Run:
    """The full run, or the rest of one that an earlier demo left; all in this process."""
    least = settings.consolidator_concurrency + 3
    async with open_pipeline(
        settings, url, service="demo", own_queues=True, least_connections=least
    ) as pipeline:
        with view_for(console, silent=options.as_json) as view:
            async with pipeline.pool.connection() as conn:
                active = await store.find_active_run(conn, _FEED)
            if active is None:
                planned = await _until(stop, plan(pipeline, _FEED, RunType.FULL, view))
                home.remember(str(planned.run_id))
            run = await drive(pipeline, _FEED, RunType.FULL, view, stop)
    if not run.state.is_over:
        raise Interrupted("stopped while the run went on")
    return run


async def _known_run(url: str, run_id: UUID) -> Run:
    async with await connect(url, application_name=_APPLICATION) as conn:
        return await store.get_run(conn, run_id)


async def _tell(url: str, run: Run, options: Options) -> UUID | None:
    """Say how it went; returns a stone to show, if there is one."""
    async with await connect(url, application_name=_APPLICATION) as conn:
        summary = await summarise(conn, run, options.stones)
        partitions = await store.list_partitions(conn, run.run_id)
    if options.as_json:
        print(json.dumps(summary.as_json()), flush=True)
    elif run.state is RunState.COMPLETED:
        print_summary(output, summary)
    else:
        print_run(output, run, partitions)
    return summary.example_id


async def _serve(
    settings: Settings,
    url: str,
    listeners: Listeners,
    example: UUID | None,
    stop: asyncio.Event,
    home: DemoHome,
) -> None:
    """The API, and whatever does what an operator starts by it; what was started belongs to the demo too."""
    from diamond_opus.cli.api_server import serve_api

    key = await key_for(url, home)
    since = datetime.now(UTC)
    least = settings.consolidator_concurrency + 4
    async with open_pipeline(settings, url, service="demo", least_connections=least) as pipeline:
        try:
            await run_together(
                stop,
                serve_api(pipeline, url, listeners.api, stop, lambda address: _invite(address, key, example)),
                pipeline.consume_work(stop),
                pipeline.consume_consolidation(stop),
                pipeline.sweeper().run(stop),
                pipeline.deliverer().run(stop),
                pipeline.trade_watch().run(stop),
                *monitored_on(listeners.watched, pipeline, stop),
            )
        finally:
            async with pipeline.pool.connection() as conn:
                for run in (await list_runs(conn, RunFilter(started_after=since), limit=1_000)).rows:
                    home.remember(str(run["runId"]))


async def key_for(url: str, home: DemoHome) -> str:
    """The key of the last demo, so that a browser stays logged in; where it is none any more, a new one."""
    now = datetime.now(UTC)
    kept = home.recall_key()
    async with await connect(url, application_name=_APPLICATION) as conn:
        known = await find_key(conn, hash_key(kept)) if kept is not None else None
        if kept is not None and known is not None and known.client_name == KEY_NAME and known.is_usable(now):
            return kept
        for earlier in await list_keys(conn):
            if earlier.client_name == KEY_NAME and earlier.active:
                await revoke_key(conn, earlier.id, actor=actor(), now=now)
        key, _ = await create_key(conn, name=KEY_NAME, permissions=[Permission.ADMIN], actor=actor(), now=now)
    home.keep_key(key)
    return key


def _invite(address: str, key: str, example: UUID | None) -> None:
    """Plain lines on standard output: they are made to be pasted, so nothing may fold or colour them."""
    from diamond_opus.api.dashboard import REBUILD, installed_files

    diamonds = f"{address}/api/v2/diamonds"
    dashboard = (
        f"{address}/"
        if installed_files().is_built
        else f"not built, as npm was out of reach; where it is not: {REBUILD}"
    )
    print(
        f"""
Dashboard  {dashboard}
API        {address}/api/v2
Docs       {address}/api-docs
Key        {key}

  curl -s -H 'X-API-Key: {key}' '{diamonds}?shape=ROUND&carat_min=1&sort_by=price&sort_order=asc&limit=3'
  curl -s -H 'X-API-Key: {key}' '{diamonds}/{example}'

Ctrl-C stops the API, the simulator and PostgreSQL.""",
        flush=True,
    )


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``; a stop cancels it, waits until it has tidied up, and raises Interrupted."""
    task = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.done():
        return task.result()
    while not task.done():
        # More than once: a wait for a pooled connection can lose a cancellation that comes with its success.
        task.cancel()
        await asyncio.wait((task,), timeout=_PATIENCE_SECONDS)
    raise Interrupted("stopped before the run")
