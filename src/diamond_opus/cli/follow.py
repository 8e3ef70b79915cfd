"""Follows a run to its end: polls its rows, draws them for people, and says how it ended."""

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Protocol
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from diamond_opus.db.pool import Pool
from diamond_opus.runs import store
from diamond_opus.runs.model import Partition, PartitionState, Run, RunState

POLL_SECONDS = 0.25

_PLANNING = "Planning"

#: Columns from which on the units fit in.
_WIDE = 100


class View(Protocol):
    """Shows a run while it goes on; ``resuming`` one that another process left, perhaps with partitions it leased."""

    def resuming(self, run: Run, leased: int, seconds: float) -> None: ...
    def counting(self, done: int, wanted: int) -> None: ...
    def show(self, run: Run, partitions: Sequence[Partition]) -> None: ...


class SilentView:
    """For machines: nothing."""

    def resuming(self, run: Run, leased: int, seconds: float) -> None: ...
    def counting(self, done: int, wanted: int) -> None: ...
    def show(self, run: Run, partitions: Sequence[Partition]) -> None: ...


class ProgressView:
    """Three bars: planning by counts, reading by stones, consolidating by stones; log lines appear above them."""

    def __init__(self, console: Console) -> None:
        self._is_wide = console.width >= _WIDE
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("[bold]{task.description:<13}"),
            BarColumn(bar_width=24 if self._is_wide else 12),
            TextColumn("{task.fields[amount]}", justify="right"),
            TextColumn("[cyan]{task.fields[speed]}", justify="right"),
            TextColumn("{task.fields[time]}", justify="right"),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._handlers: list[logging.StreamHandler[Any]] = []

    def __enter__(self) -> "ProgressView":
        self._handlers = [
            handler
            for handler in logging.getLogger().handlers
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
        ]
        self._progress.start()
        self._began[_PLANNING] = time.monotonic()  # its first report comes when some counts are done
        self._log_to_standard_error()  # which is now rich's: it writes above the bars and draws them again
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._log_to_standard_error()

    def resuming(self, run: Run, leased: int, seconds: float) -> None:
        print_ = self._progress.console.print
        print_(f"Going on with run {run.run_id}, which another process left {run.state}.", highlight=False)
        if leased:
            print_(
                f"{leased} of its partitions are still leased to that process. If it is dead, they are taken over "
                f"when the leases end, in {seconds:.0f} s at most.",
                highlight=False,
            )

    def counting(self, done: int, wanted: int) -> None:
        self._update(_PLANNING, done, wanted, "counts", "by price")

    def show(self, run: Run, partitions: Sequence[Partition]) -> None:
        read = sum(partition.fetched_records for partition in partitions)
        reading_over = run.state not in (RunState.PLANNED, RunState.INGESTING)
        expected = read if reading_over else max(read, run.expected_records)
        self._update("Reading", read, expected, "stones", _tell(partitions), is_over=reading_over)
        if run.consolidation_started_at:
            self._update(
                "Consolidating",
                run.consolidation_processed,
                run.consolidation_total,
                "stones",
                "mapped, priced",
                is_over=run.state.is_over,
            )

    def _log_to_standard_error(self) -> None:
        for handler in self._handlers:
            handler.setStream(sys.stderr)

    def _update(
        self, name: str, done: int, total: int, unit: str, note: str, *, is_over: bool | None = None
    ) -> None:
        """Draw a bar anew. ``is_over`` None: it is when nothing is left to do."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(
                name, total=total, amount="", speed="", time="", note=""
            )
            self._began.setdefault(name, time.monotonic())
        task = self._progress.tasks[self._tasks[name]]
        if task.finished:
            return
        ends = done >= total if is_over is None else is_over
        # rich takes a full bar for a finished one, and the last stone is not the end of a phase.
        self._progress.update(task.id, completed=done, total=done if ends else max(total, done + 1))
        seconds = max(time.monotonic() - self._began[name], 0.001)
        speed = done / seconds if ends else task.speed
        left = f"{_duration(task.time_remaining)} left" if task.time_remaining else ""
        amount = f"{done:,}" if ends else f"{done:,}/{total:,}"
        self._progress.update(
            task.id,
            amount=f"{amount} {unit}" if self._is_wide else amount,
            speed=f"{speed:,.0f}/s" if speed else "",
            time=f"in {_duration(seconds)}" if ends else left,
            note=note,
            refresh=True,
        )


def _tell(partitions: Sequence[Partition]) -> str:
    """How the partitions are: what is done, and what a person would want to know of the others."""
    states = Counter(partition.state for partition in partitions)
    waiting = sum(partition.next_attempt_at is not None for partition in partitions)
    note = f"{states[PartitionState.COMPLETED]}/{len(partitions)} partitions"
    if waiting:
        note += f", {waiting} will be retried"
    if states[PartitionState.FAILED]:
        note += f", [red]{states[PartitionState.FAILED]} failed[/]"
    return note


def _duration(seconds: float) -> str:
    """Short, for a narrow column.

    >>> _duration(5.94), _duration(75), _duration(7_260)
    ('5.9 s', '1:15 min', '2:01 h')
    """
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"


def view_for(console: Console, *, silent: bool) -> AbstractContextManager[Any]:
    """Bars at a terminal, nothing elsewhere."""
    return nullcontext(SilentView()) if silent or not console.is_terminal else ProgressView(console)


async def follow(pool: Pool, run_id: UUID, view: View, stop: asyncio.Event) -> Run:
    """Until the run is over, or ``stop``; returns it as it is then."""
    while True:
        async with pool.connection() as conn:
            run = await store.get_run(conn, run_id)
            partitions = await store.list_partitions(conn, run_id)
        view.show(run, partitions)
        if run.state.is_over or stop.is_set():
            return run
        await asyncio.sleep(POLL_SECONDS)
