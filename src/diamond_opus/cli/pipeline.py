"""``run`` and ``schedule``: start a pass over a feed's inventory, here or by the workers."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import psycopg
import typer

from diamond_opus.cli.drive import drive, plan
from diamond_opus.cli.follow import follow, view_for
from diamond_opus.cli.report import print_run, run_as_json
from diamond_opus.cli.running import console, prepare, record_traces, run_async, stop_on_signals
from diamond_opus.domain.errors import ConfigurationError, DiamondError
from diamond_opus.observability.error_log import record_exception
from diamond_opus.room_settings import check_settings
from diamond_opus.runs.model import Run, RunState, RunType
from diamond_opus.settings import Settings
from diamond_opus.wiring import FEEDS, Pipeline, migrate_database, open_database, open_pipeline

FeedOption = Annotated[str, typer.Option("--feed", help="Which feed.")]
TypeOption = Annotated[
    RunType | None,
    typer.Option("--type", help="Else RUN_TYPE, else incremental when there is a watermark, else full."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


def register(app: typer.Typer) -> None:
    app.command()(run)
    app.command()(schedule)


def run(feed: FeedOption = FEEDS[0], run_type: TypeOption = None, as_json: JsonOption = False) -> None:
    """One pass in one process: plan, read, consolidate. Exit code 0 only if the run completed."""
    settings = prepare("run", quiet=console.is_terminal or as_json)
    _check_feed(feed)
    check_settings(settings)
    record_traces("run", settings)
    ended = run_async(_run(settings, feed, _chosen(settings, run_type), as_json))
    _finish(ended, as_json)


async def _run(settings: Settings, feed: str, run_type: RunType | None, as_json: bool) -> Run:
    async with open_database(settings) as url:
        await migrate_database(url)
        async with (
            open_pipeline(
                settings,
                url,
                service="run",
                own_queues=True,
                least_connections=settings.consolidator_concurrency + 3,
            ) as pipeline,
            stop_on_signals() as stop,
            _telling(pipeline),
        ):
            with view_for(console, silent=as_json) as view:
                return await drive(pipeline, feed, run_type, view, stop)


def schedule(
    feed: FeedOption = FEEDS[0],
    run_type: TypeOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")] = False,
    run_id: Annotated[UUID | None, typer.Option("--run-id", help="The id that was promised for it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Plan a run and queue its partitions for the workers."""
    settings = prepare("scheduler", quiet=console.is_terminal or as_json)
    _check_feed(feed)
    check_settings(settings)
    record_traces("scheduler", settings)
    planned = run_async(_schedule(settings, feed, _chosen(settings, run_type), run_id, wait, as_json))
    if wait:
        _finish(planned, as_json)
    elif as_json:
        print(json.dumps(run_as_json(planned)))
    else:
        print(planned.run_id)


async def _schedule(
    settings: Settings, feed: str, run_type: RunType | None, run_id: UUID | None, wait: bool, as_json: bool
) -> Run:
    async with open_database(settings) as url:
        await migrate_database(url)
        async with (
            open_pipeline(settings, url, service="scheduler") as pipeline,
            stop_on_signals() as stop,
            _telling(pipeline),
        ):
            with view_for(console, silent=as_json) as view:
                try:
                    planned = await plan(pipeline, feed, run_type, view, run_id=run_id)
                except (DiamondError, psycopg.Error, OSError) as error:
                    # Nobody may be at this terminal: the operator's pages must have the reason too.
                    context = {"runId": run_id and str(run_id), "feed": feed}
                    await record_exception(pipeline.pool, error, service="scheduler", context=context)
                    raise
                if wait:
                    return await follow(pipeline.pool, planned.run_id, view, stop)
                return planned


@asynccontextmanager
async def _telling(pipeline: Pipeline) -> AsyncIterator[None]:
    """However it ends: what somebody has to know is told before the process is gone, where that takes 10 s at most."""
    try:
        yield
    finally:
        await pipeline.deliverer().flush()


def _chosen(settings: Settings, run_type: RunType | None) -> RunType | None:
    return run_type or (RunType(settings.run_type) if settings.run_type else None)


def _check_feed(feed: str) -> None:
    if feed not in FEEDS:
        raise ConfigurationError(f"--feed {feed!r}: there is no such feed; there are: {', '.join(FEEDS)}")


def _finish(run: Run, as_json: bool) -> None:
    if as_json:
        print(json.dumps(run_as_json(run)))
    else:
        print_run(console, run)
    if not run.state.is_over:
        console.print("Interrupted before its end. What was read is stored; go on with: diamond run")
    if run.state is not RunState.COMPLETED:
        raise typer.Exit(1)
