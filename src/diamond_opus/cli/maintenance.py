"""``diamond maintain``: what nobody needs any more goes, now instead of at MAINTAIN_CRON."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from diamond_opus.cli.pipeline import JsonOption
from diamond_opus.cli.running import console, output, prepare, run_async, stop_on_signals
from diamond_opus.cli.serving import check_schema
from diamond_opus.maintain.housekeeper import Done, check_names
from diamond_opus.maintain.tasks import TASKS
from diamond_opus.room_settings import check_settings
from diamond_opus.settings import Settings
from diamond_opus.wiring import open_database, open_pipeline


def register(app: typer.Typer) -> None:
    app.command()(maintain)


def maintain(
    tasks: Annotated[
        list[str] | None, typer.Option("--task", help="Only this one; may be given several times.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many rows would go.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what is past its time, in short steps beside everything else. Exit code 1 if a task failed,
    130 if a signal ended it before all was done.

    `diamond up` and `diamond consolidator` do it by themselves at MAINTAIN_CRON.
    """
    settings = prepare("maintain", quiet=True)
    check_settings(settings)
    check_names(tasks or ())
    done, was_stopped = run_async(_maintain(settings, tasks or (), dry_run=dry_run))
    if as_json:
        print(json.dumps([_as_json(one) for one in done]))
    else:
        _print(done, dry_run=dry_run)
    if was_stopped:
        console.print("Stopped before its end; what is left is for the next time.", highlight=False)
        raise typer.Exit(130)
    if any(one.error for one in done):
        raise typer.Exit(1)


async def _maintain(
    settings: Settings, tasks: Sequence[str], *, dry_run: bool
) -> tuple[Sequence[Done], bool]:
    """What was done, and whether a signal ended it before all was."""
    async with stop_on_signals() as stop, open_database(settings) as url:
        await check_schema(settings, url)
        async with open_pipeline(settings, url, service="maintain", needs_source=False) as pipeline:
            done = await pipeline.housekeeper(stop).keep(tasks, dry_run=dry_run)
    wanted = len(set(tasks)) or len(TASKS)
    return done, stop.is_set() and (len(done) < wanted or any(one.error for one in done))


def _as_json(done: Done) -> dict[str, object]:
    return {
        "task": done.task,
        "rows": done.rows,
        "before": None if done.before is None else done.before.isoformat().replace("+00:00", "Z"),
        "batches": done.batches,
        "seconds": round(done.seconds, 3),
        "kept_referenced": done.kept_referenced,
        "referenced_by": list(done.referenced_by),
        "error": done.error,
    }


def _print(done: Sequence[Done], *, dry_run: bool) -> None:
    table = Table(title="What would go" if dry_run else "Housekeeping")
    for column in ("task", "what", "older than (UTC)"):
        table.add_column(column)
    for column in ("rows", "seconds"):
        table.add_column(column, justify="right")
    table.add_column("")
    for one in done:
        before = "" if one.before is None else f"{one.before:%Y-%m-%d %H:%M}"
        rows = "not counted" if one.rows is None else f"{one.rows:,}"
        table.add_row(one.task, one.about, before, rows, f"{one.seconds:.1f}", one.error or _kept(one))
    output.print(table)


def _kept(done: Done) -> str:
    tables = ", ".join(done.referenced_by)
    return f"{done.kept_referenced:,} stay: referred to by {tables}" if done.kept_referenced else ""
