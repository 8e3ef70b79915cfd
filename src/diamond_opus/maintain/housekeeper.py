"""Does the tasks one after the other, each in batches with a rest between them, and writes down what came of it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from diamond_opus.db.pool import run_in_transaction
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import ConfigurationError, DiamondError
from diamond_opus.maintain import upkeep
from diamond_opus.maintain.retention import Cutoffs, Retention
from diamond_opus.maintain.tasks import TASKS, House, Task
from diamond_opus.observability.logging import get_logger
from diamond_opus.runs.store import database_time

log = get_logger("maintain")

#: Between two batches everybody else has as long as the last one took, and no longer than this.
_LONGEST_REST_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a task: ``rows`` went, or would go; None where a dry run cannot tell."""

    task: str
    about: str
    rows: int | None
    before: datetime | None
    seconds: float
    batches: int = 0
    error: str | None = None

    @property
    def details(self) -> Mapping[str, object]:
        before = {} if self.before is None else {"before": self.before.isoformat()}
        return {"batches": self.batches, "seconds": round(self.seconds, 3), **before}


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

        ``stop`` ends it between two batches. ``cutoffs`` are for whoever counts days in another way: here they are the
        database's, for what goes does not come back, and a container's clock may be wrong.
        """
        moments = cutoffs or await self._cutoffs()
        tasks = [task for task in TASKS if not names or task.name in names]
        done: list[Done] = []
        for task in tasks:
            if self.stop.is_set():
                break
            done.append(await (self._look(task, moments) if dry_run else self._do(task, moments)))
        return done

    async def _cutoffs(self) -> Cutoffs:
        async with self.house.pool.connection() as conn:
            return self.retention.cutoffs(await database_time(conn))

    async def _look(self, task: Task, moments: Cutoffs) -> Done:
        started = self.clock.monotonic()
        rows = await task.count(self.house, moments)
        return Done(task.name, task.about, rows, task.before(moments), self.clock.monotonic() - started)

    async def _do(self, task: Task, moments: Cutoffs) -> Done:
        row_id = await run_in_transaction(self.house.pool, lambda conn: upkeep.begin(conn, task.name))
        done = await self._sweep(task, moments)
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

    async def _sweep(self, task: Task, moments: Cutoffs) -> Done:
        started = resumed = self.clock.monotonic()
        rows = batches = 0
        error: str | None = None
        try:
            async for gone in task.batches(self.house, moments):
                rows, batches = rows + gone, batches + 1
                if self.stop.is_set():
                    error = "it was stopped before its end; the rest is for the next time"
                    break
                took = self.clock.monotonic() - resumed
                await self.clock.sleep(min(took, _LONGEST_REST_SECONDS))
                resumed = self.clock.monotonic()
        except (DiamondError, psycopg.Error, OSError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        seconds = self.clock.monotonic() - started
        return Done(task.name, task.about, rows, task.before(moments), seconds, batches, error)


def check_names(names: Collection[str]) -> None:
    """Raises ConfigurationError for a task that there is not."""
    known = [task.name for task in TASKS]
    strangers = [name for name in names if name not in known]
    if strangers:
        raise ConfigurationError(
            f"--task {strangers[0]}: there is no such task; there are: {', '.join(known)}"
        )
