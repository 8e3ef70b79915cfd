"""How a run is told: one table for people, one JSON object for machines, from the same row."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.table import Table

from diamond_opus.analytics.rows import camel
from diamond_opus.runs.model import Partition, PartitionState, Run, RunState

_COLORS = {RunState.COMPLETED: "green", RunState.FAILED: "red", RunState.CANCELLED: "yellow"}


def run_as_json(run: Run, partitions: Sequence[Partition] = ()) -> dict[str, Any]:
    """camelCase as the API has it; times are ISO 8601."""
    document = _camel(asdict(run))
    if partitions:
        document["partitions"] = [_camel(asdict(partition)) for partition in partitions]
    return document


def print_run(console: Console, run: Run, partitions: Sequence[Partition] = (), *, guarded: int = 0) -> None:
    """``guarded`` stones seem to be gone and wait for a person."""
    color = _COLORS.get(run.state, "cyan")
    console.print(
        f"Run [bold]{run.run_id}[/] ({run.feed}, {_type(run)}): [{color}]{run.state}[/]{_more(run)}"
    )
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for name, value, meaning in (
        ("expected", run.expected_records, "by the supplier's counts when it was planned"),
        ("fetched", run.fetched_records, "once in each range; ranges share their edges"),
        ("distinct", run.distinct_records, "stones seen by this run"),
        ("unchanged", run.unchanged_records, "same answer as before: marked as seen, not consolidated again"),
        ("unreadable", run.unreadable_records, "items without an identity, kept in rejected_diamonds"),
        ("rejected", run.rejected_records, "cannot become a diamond; reasons in rejected_diamonds"),
        ("removed", run.removed_records, "gone from the supplier"),
        ("partitions", f"{run.completed_workers}/{run.expected_workers}", _failed(run)),
    ):
        table.add_row(name, f"{value:,}" if isinstance(value, int) else value, meaning)
    console.print(table)
    if run.watermark_after:
        console.print(f"Watermark: {run.watermark_after.isoformat()}")
    if run.error:
        console.print(f"[red]{run.error}[/]")
    if guarded:
        console.print(
            f"[yellow]{guarded:,} stones seem to be gone, more than can be believed. If they are: "
            f"diamond accept-removals {run.run_id}[/]"
        )
    troubled = [p for p in partitions if p.state is not PartitionState.COMPLETED or p.count_disputed]
    for partition in troubled:
        reason = partition.last_error or "; ".join(partition.notes) or ""
        console.print(f"  {partition.partition_id}: {partition.state} {reason}")


def print_runs(console: Console, runs: Sequence[Run]) -> None:
    table = Table(title="Runs, the newest first")
    for column in ("run", "feed", "type", "state", "started (UTC)", "partitions", "distinct", "rejected"):
        table.add_column(
            column, justify="right" if column in ("partitions", "distinct", "rejected") else "left"
        )
    for run in runs:
        table.add_row(
            str(run.run_id),
            run.feed,
            _type(run),
            f"[{_COLORS.get(run.state, 'cyan')}]{run.state}[/]",
            f"{run.started_at:%Y-%m-%d %H:%M:%S}",
            f"{run.completed_workers}/{run.expected_workers}",
            f"{run.distinct_records:,}",
            f"{run.rejected_records:,}",
        )
    console.print(table)


def _type(run: Run) -> str:
    """A replay reads nothing, so it is neither full nor incremental to a person."""
    return "replay" if run.is_replay else run.run_type


def _more(run: Run) -> str:
    """What the state alone does not say: that it has a part only, or until when it may take."""
    if run.is_partial:
        return ", without the partitions that failed"
    if run.deadline_at is not None and not run.state.is_over:
        return f", at most until {run.deadline_at:%Y-%m-%d %H:%M:%S} UTC"
    return ""


def _failed(run: Run) -> str:
    return f"{run.failed_workers} failed; try again: diamond retry {run.run_id}" if run.failed_workers else ""


def _camel(values: dict[str, Any]) -> dict[str, Any]:
    return {camel(name): _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value
