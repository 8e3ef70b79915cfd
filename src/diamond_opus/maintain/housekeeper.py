"""Does the tasks one after the other, each in batches with a rest between them, and writes down what came of it."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from diamond_opus.db.pool import run_in_transaction
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import ConfigurationError, DiamondError
from diamond_opus.domain.tasks import work_unless
from diamond_opus.maintain import upkeep
from diamond_opus.maintain.retention import Cutoffs, Retention
from diamond_opus.maintain.tasks import TASKS, House, Kept, Task
from diamond_opus.observability.logging import get_logger
from diamond_opus.runs.store import database_time

log = get_logger("maintain")

#: Between two batches everybody else has as long as the last one took, and no longer than this.
_LONGEST_REST_SECONDS = 1.0

_STOPPED = "it was stopped before its end; the rest is for the next time"


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task: ``rows`` went, or would go; None where a dry run failed.

    ``kept_referenced`` rows are past their time and stay: tables that are not ours refer to them.
    """

    task: str
    about: str
    rows: int | None
    before: datetime | None
    seconds: float
    batches: int = 0
    error: str | None = None
    kept_referenced: int = 0
    referenced_by: Sequence[str] = ()

    @property
    def details(self) -> Mapping[str, object]:
        before = {} if self.before is None else {"before": self.before.isoformat()}
        kept = {"kept_referenced": self.kept_referenced, "referenced_by": list(self.referenced_by)}
        return {
            "batches": self.batches,
            "seconds": round(self.seconds, 3),
            **before,
            **(kept if self.kept_referenced else {}),
        }


@dataclass(frozen=True, slots=True)
class Housekeeper:
    """Safe beside everything else, another one included: what somebody works on is left for the next time."""

    house: House
    clock: Clock
    retention: Retention
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(
        self, names: Collection[str] = (), *, dry_run: bool = False, cutoffs: Cutoffs | None = None
    ) -> Sequence[Done]:
        """The named tasks, or all, in their order; one that fails leaves the others to be done.

        ``stop`` ends it, and a batch that is under way is taken back. ``cutoffs`` are for whoever counts days in
        another way: here they are the database's, for what goes does not come back, and our clock may be wrong.
        """
        moments = cutoffs or await self._cutoffs()
        tasks = [task for task in TASKS if not names or task.name in names]
        done: list[Done] = []
        for task in tasks:
            if self.stop.is_set():
                break
            looked = self._measure(task, moments, self._count) if dry_run else self._do(task, moments)
            done.append(await looked)
        return done

    async def _cutoffs(self) -> Cutoffs:
        async with self.house.pool.connection() as conn:
            return self.retention.cutoffs(await database_time(conn))

    async def _do(self, task: Task, moments: Cutoffs) -> Done:
        row_id = await run_in_transaction(self.house.pool, lambda conn: upkeep.begin(conn, task.name))
        done = await self._measure(task, moments, self._sweep)
        await run_in_transaction(
            self.house.pool,
            lambda conn: upkeep.end(
                conn, row_id, rows=done.rows or 0, details=done.details, error=done.error
            ),
        )
        if done.error is None:
            log.info("upkeep_done", task=done.task, rows=done.rows, **done.details)
        else:
            log.error("upkeep_failed", task=done.task, rows=done.rows, reason=done.error, **done.details)
        return done

    async def _measure(
        self,
        task: Task,
        moments: Cutoffs,
        work: Callable[[Task, Cutoffs, "_Tally"], Coroutine[Any, Any, None]],
    ) -> Done:
        """What came of the work, which a stop cancels: a VACUUM of hours must not hold a process up to its kill."""
        started = self.clock.monotonic()
        tally = _Tally()
        error: str | None = None
        try:
            await work_unless(self.stop, work(task, moments, tally))
        except (DiamondError, psycopg.Error, OSError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        if self.stop.is_set() and not tally.has_ended:
            error = _STOPPED
        return Done(
            task.name,
            task.about,
            tally.rows,
            task.before(moments),
            self.clock.monotonic() - started,
            tally.batches,
            error,
            tally.kept,
            sorted(tally.referenced_by),
        )

    async def _count(self, task: Task, moments: Cutoffs, tally: "_Tally") -> None:
        tally.rows = await task.count(self.house, moments)
        tally.has_ended = True

    async def _sweep(self, task: Task, moments: Cutoffs, tally: "_Tally") -> None:
        tally.rows = 0
        resumed = self.clock.monotonic()
        async for gone in task.batches(self.house, moments):
            tally.add(gone)
            took = self.clock.monotonic() - resumed
            await self.clock.sleep(min(took, _LONGEST_REST_SECONDS))
            if self.stop.is_set():
                return
            resumed = self.clock.monotonic()
        tally.has_ended = True


@dataclass(slots=True)
class _Tally:
    """How far a task has come, whatever ends it."""

    rows: int | None = None
    batches: int = 0
    has_ended: bool = False
    kept: int = 0
    referenced_by: set[str] = field(default_factory=set)

    def add(self, batch: int | Kept) -> None:
        self.batches += 1
        if isinstance(batch, Kept):
            self.kept += 1
            self.referenced_by.add(batch.referenced_by)
        else:
            self.rows = (self.rows or 0) + batch


def check_names(names: Collection[str]) -> None:
    """Raises ConfigurationError for a task that there is not."""
    known = [task.name for task in TASKS]
    strangers = [name for name in names if name not in known]
    if strangers:
        raise ConfigurationError(
            f"--task {strangers[0]}: there is no such task; there are: {', '.join(known)}"
        )
