"""``status``, ``retry``, ``consolidate``, ``cancel``, ``accept-removals``: look at runs and put them right."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import typer

from diamond_opus.alerts.incidents import list_open
from diamond_opus.analytics.runs import newest_runs, removals_of
from diamond_opus.cli.alerts import print_open
from diamond_opus.cli.follow import follow, view_for
from diamond_opus.cli.pipeline import JsonOption
from diamond_opus.cli.report import print_run, print_runs, run_as_json
from diamond_opus.cli.running import actor, console, output, prepare, run_async, stop_on_signals
from diamond_opus.cli.serving import check_schema
from diamond_opus.consolidate import acceptance
from diamond_opus.db.pool import Pool
from diamond_opus.queue.protocol import CONSOLIDATE, WORK_ITEMS
from diamond_opus.runs import consolidating, store
from diamond_opus.runs.model import Run, RunState
from diamond_opus.settings import Settings
from diamond_opus.wakeups import wake_partitions, wake_runs
from diamond_opus.wiring import Pipeline, open_database, open_pipeline

RunArgument = Annotated[UUID, typer.Argument(metavar="RUN", help="The run's id; see: diamond status")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Follow the run to its end.")]


def register(app: typer.Typer) -> None:
    for command in (status, retry, consolidate, cancel, accept_removals):
        app.command()(command)


def status(
    run_id: Annotated[UUID | None, typer.Argument(metavar="[RUN]")] = None, as_json: JsonOption = False
) -> None:
    """The newest runs, or one run with its partitions."""
    run_async(_status(prepare("status", quiet=True), run_id, as_json))


async def _status(settings: Settings, run_id: UUID | None, as_json: bool) -> None:
    async with _opened(settings, "status") as p:
        async with p.pool.connection() as conn:
            if run_id is None:
                runs, incidents = await newest_runs(conn), await list_open(conn)
                if as_json:
                    print(json.dumps([run_as_json(run) for run in runs]))
                else:
                    print_runs(output, runs)
                    print_open(output, incidents)
                return
            run = await store.get_run(conn, run_id)
            partitions = await store.list_partitions(conn, run_id)
            removals = await removals_of(conn, run_id)
        if as_json:
            print(json.dumps(run_as_json(run, partitions)))
        else:
            print_run(output, run, partitions, guarded=removals.get("guarded", 0))


def retry(
    run_id: RunArgument,
    partition: Annotated[str | None, typer.Argument(metavar="[PARTITION]")] = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put failed partitions back to work; each goes on at its cursor."""
    run_async(_retry(prepare("retry", quiet=True), run_id, partition, wait, as_json))


async def _retry(settings: Settings, run_id: UUID, partition: str | None, wait: bool, as_json: bool) -> None:
    async with _opened(settings, "retry") as p:
        async with p.pool.connection() as conn:
            retried = await store.retry_run(conn, run_id, partition_id=partition, actor=actor())
            due = await store.take_due_partitions(conn, quiet_seconds=0, limit=10_000)
        await wake_partitions(p.queues[WORK_ITEMS], due)
        console.print(f"{len(retried)} partitions of {run_id} are queued again: {', '.join(retried)}")
        await _after(p.pool, run_id, wait, as_json)


def consolidate(
    run_id: RunArgument,
    force: Annotated[
        bool, typer.Option("--force", help="In spite of failed partitions; the watermark stays.")
    ] = False,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Queue a run's consolidation."""
    run_async(_consolidate(prepare("consolidate", quiet=True), run_id, force, wait, as_json))


async def _consolidate(settings: Settings, run_id: UUID, force: bool, wait: bool, as_json: bool) -> None:
    async with _opened(settings, "consolidate") as p:
        async with p.pool.connection() as conn:
            await consolidating.start_consolidating(conn, run_id, force=force, actor=actor())
            due = await store.take_run(conn, run_id)
        await wake_runs(p.queues[CONSOLIDATE], [due])
        console.print(f"The consolidation of {run_id} is queued.")
        await _after(p.pool, run_id, wait, as_json)


def cancel(run_id: RunArgument) -> None:
    """Close a run that is not complete; what it stored stays."""
    run_async(_cancel(prepare("cancel", quiet=True), run_id))


async def _cancel(settings: Settings, run_id: UUID) -> None:
    async with _opened(settings, "cancel") as p:
        async with p.pool.connection() as conn:
            await store.cancel_run(conn, run_id, actor=actor())
        console.print(f"{run_id} is cancelled.")


def accept_removals(run_id: RunArgument) -> None:
    """Let stones that the guard kept be removed; each is asked for once more before it is."""
    run_async(_accept_removals(prepare("accept-removals", quiet=True), run_id))


async def _accept_removals(settings: Settings, run_id: UUID) -> None:
    async with _opened(settings, "accept-removals") as p:
        async with p.pool.connection() as conn:
            accepted = await acceptance.accept_removals(conn, run_id, actor=actor())
            due = await store.take_run(conn, run_id)
        await wake_runs(p.queues[CONSOLIDATE], [due])
        console.print(
            f"A consolidator asks for {accepted.candidates} stones of {run_id} and removes those that are gone; "
            f"see: diamond status {run_id}"
        )


@asynccontextmanager
async def _opened(settings: Settings, service: str) -> AsyncIterator[Pipeline]:
    """The pipeline on a database that answers and has the newest schema, or one line that says why not."""
    async with open_database(settings) as url:
        await check_schema(settings, url)
        async with open_pipeline(settings, url, service=service, needs_source=False) as pipeline:
            yield pipeline


async def _after(pool: Pool, run_id: UUID, wait: bool, as_json: bool) -> None:
    """With ``--wait`` follow the run and fail unless it completes."""
    if not wait:
        return
    async with stop_on_signals() as stop:
        with view_for(console, silent=as_json) as view:
            run: Run = await follow(pool, run_id, view, stop)
    if as_json:
        print(json.dumps(run_as_json(run)))
    else:
        print_run(console, run)
    if run.state is not RunState.COMPLETED:
        raise typer.Exit(1)
