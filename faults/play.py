"""Plays a schedule: two runs of the real pipeline over a supplier that moves, disturbed as drawn, then judged."""

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from diamond_opus.runs import consolidating
from diamond_opus.runs import store as runs
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.simulator.faults import Fault
from diamond_opus.wakeups import wake_partitions, wake_runs
from diamond_opus.wiring import open_pipeline
from faults import oracle
from faults.crew import Crew
from faults.ground import Ground
from faults.injections import INJECTIONS, rule_for
from faults.monitor import Monitor
from faults.oracle import Expected
from faults.proxy import Weather
from faults.schedule import Injection, Schedule
from faults.settings import QUICKER
from faults.shop import Shop
from faults.timeline import Supplier

_LOOK_SECONDS = 0.1
_FOLDER = Path(__file__).parent

#: How a run may fail whose pages, or whose look-ups at its end, are refused for good.
_OF_REFUSED_PAGES = ("consolidation_skipped", "run_partial", "consolidation_failed")

#: With every lease and time-out as shipped everything goes on so soon after the cause of a fault is over.
_PROMISED_SECONDS = 60.0

#: What a machine that plays several schedules at once may add to the waits of one, two of which are longer than their
#: share for its sake (faults/settings.py); processes take seconds to start.
_BUSY_SECONDS, _BUSY_SECONDS_OF_PROCESSES = 15.0, 25.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a run may take after the last fault of it is over, and how long what is left of it may take to go."""

    run_seconds: float = 60.0
    settling_seconds: float = 20.0


@dataclass(slots=True)
class Outcome:
    schedule: Schedule
    as_shipped: bool
    seconds: float = 0.0
    injected: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)
    orphaned: list[float] = field(default_factory=list)
    takeovers: int = 0
    orders: int = 0
    holds: int = 0
    unknown_orders: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.faults

    def note_failure(self, error: BaseException) -> None:
        """An AssertionError tells what the pipeline did wrong; any other is the harness's own."""
        if isinstance(error, AssertionError):
            self.faults.append(str(error))
            return
        ours = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent == _FOLDER]
        where = "".join(f" {Path(f.filename).name}:{f.lineno}" for f in ours)
        self.faults.append(f"the harness failed in{where}: {error!r}")


class Play:
    """A schedule under way: what injections and the judge need of it."""

    def __init__(
        self,
        schedule: Schedule,
        ground: Ground,
        database: str,
        supplier: Supplier,
        folder: Path,
        *,
        as_shipped: bool,
        patience: Patience,
    ) -> None:
        self.schedule = schedule
        self.ground = ground
        self.supplier = supplier
        self.url = ground.url(database)
        self.weather = Weather()
        self.crew = Crew(
            schedule, self.url, self.weather, supplier.port, folder, spawn=self.spawn, as_shipped=as_shipped
        )
        self.tampered: set[str] = set()
        self.outcome = Outcome(schedule, as_shipped)
        self._patience = patience
        self._as_shipped = as_shipped
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: set[str] = set()
        self._open_causes = 0
        self._monitor = Monitor(self.url, lambda: self.is_disturbed)
        self._watching: psycopg.AsyncConnection[dict[str, Any]] | None = None
        self._was_forced = False

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """A fault may meet another, such as a server that is away; all else that it meets is a fault of somebody's."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, psycopg.OperationalError | OSError):
            self.outcome.note_failure(error)

    def note(self, kind: str) -> None:
        """A fault that is over in the moment it happens."""
        self._begun.add(kind)
        self.outcome.injected[kind] += 1
        self._monitor.healed()

    async def inject(self, injection: Injection) -> None:
        await self.suffer(injection.kind, INJECTIONS[injection.kind](self, Random(injection.seed)))

    async def suffer(self, kind: str, fault: Awaitable[None]) -> None:
        """A fault that lasts until ``fault`` is done; one that could not be done did not happen."""
        self._begun.add(kind)
        self._open_causes += 1
        try:
            await fault
            self.outcome.injected[kind] += 1
        finally:
            self._open_causes -= 1
            self._monitor.healed()

    @property
    def is_disturbed(self) -> bool:
        """The cause of a fault is still there."""
        return self._open_causes > 0

    def clear_supplier_faults(self, faults: Sequence[Fault]) -> None:
        rules = [rule for rule in self.supplier.supplier.faults.rules if rule not in faults]
        self.supplier.set_faults(rules)

    def _arm(self, number: int, requests: int) -> None:
        """Every injection of this run, at its moment or point, and early those that an earlier run had no place for."""
        self.weather.rules.clear()
        self.supplier.forget_callbacks()
        for injection in self.schedule.injections:
            if number == 3 or injection.run > number or injection.kind == "two_schedulers":
                continue
            if injection.run < number and injection.kind in self._begun:
                continue
            if injection.point is not None:
                self.weather.rules.append(rule_for(self, injection))
                continue
            share = injection.moment if injection.run == number else injection.moment / 4
            self.supplier.at_request(max(1, round(share * requests)), partial(self._begin, injection))

    def _begin(self, injection: Injection) -> None:
        self.spawn(self.inject(injection))

    # --- The course -------------------------------------------------------------------------------------------------

    async def perform(self, expected: Expected) -> None:
        started = time.monotonic()
        async with self._monitor.watching(), self.crew.at_work():
            try:
                await self._live(expected)
            finally:
                await self._end_tasks()
        self.outcome.seconds = time.monotonic() - started

    async def _live(self, expected: Expected) -> None:
        self.supplier.move_before_first()
        await self._run(1, self.schedule.timeline.first, expected)
        self.supplier.move_between()
        async with Shop(self, expected).open() as shop:
            await self._run(2, RunType.INCREMENTAL, expected)
            await shop.finish()
        if self._was_forced:  # the next one begins where it did not get past
            await self._run(3, RunType.INCREMENTAL, expected)
        await self._settle()
        self._judge(expected, shop)
        self.outcome.takeovers = await self.count_takeovers()

    async def _run(self, number: int, run_type: RunType, expected: Expected) -> None:
        self._arm(number, expected.requests[min(number, 2) - 1])
        before = await self._newest_run()
        doubled = any(i.run == number and i.kind == "two_schedulers" for i in self.schedule.injections)
        if doubled:
            self.outcome.injected["two_schedulers"] += 1
        await asyncio.gather(*(self._schedule(run_type, before) for _ in range(2 if doubled else 1)))
        await self.until_over(seconds=None)
        while (state := (await self._newest_run() or {})["state"]) == "failed":
            await self._act_as_operator()
            await self.until_over(seconds=None)
        if state != "completed":
            raise Stuck(f"run {number} ended {state}")

    async def _schedule(self, run_type: RunType, before: Mapping[str, Any] | None) -> None:
        """As a clock does it: until there is a run, whatever becomes of those who plan it."""
        deadline = time.monotonic() + self._patience.run_seconds
        while time.monotonic() < deadline:
            newest = await self._newest_run()
            if newest and (before is None or newest["run_id"] != before["run_id"]):
                return
            await self.crew.plan(run_type)
            await asyncio.sleep(0.1)
        raise Stuck("no run could be planned")

    async def _act_as_operator(self) -> None:
        """Only a schedule whose supplier refuses certain pages for good may need a person; then it has an alert.

        Its command is typed: retry what is left to read, or consolidate. Every other operator consolidates by force.
        """
        run = await self._newest_run()
        assert run is not None
        is_drawn = any(injection.kind == "pages_refused" for injection in self.schedule.injections)
        if not (is_drawn and run["failure"] in _OF_REFUSED_PAGES and "503" in run["error"]):
            raise Stuck(f"a person is needed ({run['failure']}): {run['error']}")
        await self._until_told()
        async with (
            open_pipeline(self.crew.settings, self.url, service="operator", needs_source=False) as pipeline,
            pipeline.pool.connection() as conn,
        ):
            run_id: UUID = run["run_id"]
            is_read = run["completed_workers"] == run["expected_workers"]
            if is_read or self.schedule.seed % 2:
                await consolidating.start_consolidating(conn, run_id, force=not is_read, actor="operator")
                self._was_forced = self._was_forced or not is_read
                await wake_runs(pipeline.queues["consolidate"], [await runs.take_run(conn, run_id)])
            else:
                await runs.retry_run(conn, run_id, actor="operator")
                due = await runs.take_due_partitions(conn, quiet_seconds=0)
                await wake_partitions(pipeline.queues["work-items"], due)

    async def _until_told(self) -> None:
        """An operator acts on an alert; without one there is nobody who would."""
        deadline = time.monotonic() + self._patience.settling_seconds
        while (untold := await self._ask(oracle.UNTOLD_FAILURES)) is not None:
            if time.monotonic() > deadline:
                raise Stuck(f"run {untold['run_id']} failed, and nobody was told")
            await asyncio.sleep(_LOOK_SECONDS)

    async def until_over(self, *, seconds: float | None) -> None:
        """Wait for the end of the newest run: so long, or for as long as causes last and a minute more."""
        patience = self._patience.run_seconds
        deadline = time.monotonic() + (seconds or patience)
        while time.monotonic() < deadline:
            run = await self._newest_run()
            if run and RunState(run["state"]).is_over:
                return
            if seconds is None and self.is_disturbed:
                deadline = time.monotonic() + patience
            await asyncio.sleep(_LOOK_SECONDS)
        if seconds is None:
            raise Stuck(
                f"the run is not over {patience:g} s after the last cause: {await self._newest_run()}"
            )

    async def _settle(self) -> None:
        """What is left of the last fault goes by itself, within the product's own times."""
        deadline = time.monotonic() + self._patience.settling_seconds
        while self.is_disturbed or await asyncio.to_thread(self._has_leftovers):
            if time.monotonic() > deadline and not self.is_disturbed:
                return
            await asyncio.sleep(0.2)

    def _has_leftovers(self) -> bool:
        try:
            return bool(oracle.leftovers(self.url))
        except psycopg.OperationalError:
            return True

    def _judge(self, expected: Expected, shop: Shop) -> None:
        faults = self.outcome.faults
        faults += oracle.leftovers(self.url)
        is_exact = not self.schedule.timeline.moves and not self._was_forced
        apart = self.tampered | shop.traded | expected.doubtful
        faults += oracle.differences(self.url, expected, apart=apart, removals_count=is_exact)
        if is_exact:
            faults += oracle.wrong_figures(self.url, expected, bought=len(shop.traded))
        faults += oracle.wrong_orders(self.url, self.supplier)
        faults += oracle.wrong_holds(self.url, self.supplier)
        faults += oracle.wrong_looks(self.url, shop.traded)
        faults += shop.complaints
        faults += self.crew.broken()
        self.outcome.orders = len(self.supplier.supplier.trade.book.orders)
        self.outcome.holds = len(self.supplier.supplier.trade.book.holds)
        self.outcome.recoveries = self._monitor.recoveries
        self.outcome.orphaned = self._monitor.orphaned
        faults += self._too_slow()
        self.outcome.unknown_orders = oracle.unknown_orders(self.url)

    def _too_slow(self) -> list[str]:
        """What is promised: with every wait as shipped, the work of the dead goes on within a minute of their end."""
        lease = self.crew.settings.worker_lease_seconds
        busy = _BUSY_SECONDS_OF_PROCESSES if self.schedule.as_processes else _BUSY_SECONDS
        most = _PROMISED_SECONDS if self._as_shipped else _PROMISED_SECONDS / QUICKER + busy
        faults = [
            f"work whose holder died lay about for {lease + seconds:.1f} s of the {most:.0f} that are promised"
            for seconds in self._monitor.orphaned
            if lease + seconds > most
        ]
        if self._as_shipped:
            faults += [
                f"it stood still for {seconds:.0f} s after the end of a fault"
                for seconds in self._monitor.recoveries
                if seconds > _PROMISED_SECONDS
            ]
        return faults

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._watching is not None:
            await self._watching.close()

    async def _newest_run(self) -> Mapping[str, Any] | None:
        return await self._ask(
            "SELECT run_id, state, failure, error, completed_workers, expected_workers FROM run_metadata"
            " ORDER BY started_at DESC LIMIT 1"
        )

    async def count_takeovers(self) -> int:
        """How often a partition was taken from a worker that did not renew its lease."""
        row = await self._ask(
            "SELECT count(*) AS takeovers FROM worker_runs"
            " WHERE error_message LIKE 'the worker stopped renewing%'"
        )
        assert row is not None
        return int(row["takeovers"])

    async def _ask(self, question: str) -> Mapping[str, Any] | None:
        """Past all lines; a server that is away is waited for."""
        for _ in range(200):
            try:
                if self._watching is None or self._watching.closed:
                    self._watching = await psycopg.AsyncConnection.connect(
                        self.url, autocommit=True, row_factory=dict_row
                    )
                return await (await self._watching.execute(question.encode())).fetchone()
            except psycopg.OperationalError:
                await asyncio.sleep(0.1)
        raise Stuck("the database does not come back")


class Stuck(AssertionError):
    """The pipeline does not go on by itself."""


async def play(
    schedule: Schedule,
    ground: Ground,
    expected: Expected,
    folder: Path,
    *,
    as_shipped: bool = False,
    patience: Patience | None = None,
) -> Outcome:
    """Play a schedule on a database of its own. Never raises for what the pipeline did wrong: the outcome tells."""
    database = await asyncio.to_thread(ground.create, expected.template)
    async with Supplier(schedule.timeline) as supplier:
        playing = Play(
            schedule,
            ground,
            database,
            supplier,
            folder,
            as_shipped=as_shipped,
            patience=patience or Patience(),
        )
        outcome = playing.outcome
        try:
            await playing.perform(expected)
        except Exception as error:
            # Also of the harness: the other schedules go on, and this one can be played again.
            outcome.note_failure(error)
        if outcome.is_good:
            await asyncio.to_thread(ground.drop, database)
        return outcome
