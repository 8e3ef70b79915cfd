"""When runs start by the clock, and what happens when they cannot."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from diamond_opus.domain.clock import Clock, ManualClock, SystemClock
from diamond_opus.domain.cron import due
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.runs import store
from diamond_opus.runs.model import PartitionPlan, RunPlan, RunRefused, RunType
from diamond_opus.schedule.cron import CronScheduler, CronSettings, Start, choose_start

Pool = AsyncConnectionPool[AsyncConnection[Any]]

NIGHTLY, WEEKLY = "0 2 * * *", "0 3 * * 0"
SETTINGS = CronSettings(nightly=NIGHTLY, full=WEEKLY)
SUNDAY = datetime(2026, 1, 4, tzinfo=UTC)
ALWAYS, NEVER = "* * * * *", "0 0 31 2 *"


def at(hour: int, minute: int = 0, *, day: datetime = SUNDAY) -> datetime:
    return day + timedelta(hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("now", "last_started_at", "expected"),
    [
        (at(12), None, True),
        (at(1, 59), at(2, day=SUNDAY - timedelta(days=1)), False),
        (at(2), at(2, day=SUNDAY - timedelta(days=1)), True),
        (at(2, 30), at(1, 59), True),
        (at(2, 30), at(2), False),
        (at(23), at(2, 1), False),
        (at(12), at(2, day=SUNDAY - timedelta(days=30)), True),
    ],
)
def test_a_run_is_due_when_none_started_since_the_newest_moment_of_the_cron(
    now: datetime, last_started_at: datetime | None, expected: bool
) -> None:
    assert due(now, NIGHTLY, last_started_at) is expected


def test_the_very_second_of_the_cron_is_due_and_the_microsecond_before_is_not() -> None:
    yesterday = at(2, day=SUNDAY - timedelta(days=1))
    assert not due(at(2) - timedelta(microseconds=1), NIGHTLY, yesterday)
    assert due(at(2), NIGHTLY, yesterday)


def test_a_cron_that_names_no_day_is_never_due() -> None:
    assert not due(at(12), NEVER, None)


def test_the_first_run_of_all_is_a_full_one() -> None:
    assert choose_start(at(12), SETTINGS, any_run=None, full_run=None) == Start(RunType.FULL)


def test_a_nightly_run_is_of_the_type_that_run_type_names() -> None:
    monday = SUNDAY + timedelta(days=1)
    settings = CronSettings(nightly=NIGHTLY, full=WEEKLY, nightly_type=RunType.INCREMENTAL)
    started = at(3, day=SUNDAY)
    chosen = choose_start(at(2, day=monday), settings, any_run=started, full_run=started)
    assert chosen == Start(RunType.INCREMENTAL)


def test_a_full_run_takes_the_place_of_the_nightly_one_when_both_are_due() -> None:
    last_week = at(3, day=SUNDAY - timedelta(days=7))
    assert choose_start(at(4), SETTINGS, any_run=last_week, full_run=last_week) == Start(RunType.FULL)
    assert choose_start(at(5), SETTINGS, any_run=at(4), full_run=at(4)) is None


class Starts:
    """Plans a run in the database as the planner would, or fails as it is told."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.types: list[RunType | None] = []
        self.errors: list[Exception] = []
        self.before: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, run_type: RunType | None) -> UUID:
        self.types.append(run_type)
        if self.before:
            await self.before()
        if self.errors:
            raise self.errors.pop(0)
        plan = RunPlan(
            feed="nivoda",
            run_type=run_type or RunType.FULL,
            updated_from=None,
            updated_to=datetime.now(UTC),
            watermark_before=None,
            trace_id="0" * 32,
            expected_records=1,
            partitions=(PartitionPlan("natural-00", False, 0, None, 1),),
        )
        async with self._pool.connection() as conn:
            return await store.create_run(conn, plan)


@pytest.fixture
def starts(pool: Pool) -> Starts:
    return Starts(pool)


def scheduler(
    pool: Pool,
    starts: Starts,
    *,
    nightly: str = ALWAYS,
    full: str = ALWAYS,
    clock: Clock | None = None,
    poll_seconds: float = 30,
) -> CronScheduler:
    return CronScheduler(
        pool=pool,
        feed="nivoda",
        start_run=starts,
        settings=CronSettings(nightly=nightly, full=full),
        holder=uuid4(),
        clock=clock or SystemClock(),
        poll_seconds=poll_seconds,
    )


async def test_a_database_without_any_run_gets_one_at_once_and_then_none_while_it_is_active(
    pool: Pool, starts: Starts
) -> None:
    cron = scheduler(pool, starts)
    assert await cron.look() is not None
    assert await cron.look() is None
    assert starts.types == [RunType.FULL]


async def test_a_run_that_ended_before_the_last_minute_began_makes_the_next_one_due(
    pool: Pool, starts: Starts
) -> None:
    cron = scheduler(pool, starts, full=NEVER)
    first = await cron.look()
    async with pool.connection() as conn:
        await conn.execute(
            "UPDATE run_metadata SET state = 'cancelled', started_at = now() - interval '2 minutes'"
        )
    second = await cron.look()
    assert second not in (None, first)
    assert starts.types == [None, None]


async def test_of_two_processes_one_starts_the_run(pool: Pool, starts: Starts) -> None:
    await asyncio.gather(*(scheduler(pool, starts).look() for _ in range(4)))
    assert len(starts.types) == 1


async def test_the_duty_is_kept_while_a_plan_takes_its_time(pool: Pool, starts: Starts) -> None:
    async def expiry() -> datetime:
        async with pool.connection() as conn:
            cursor = await conn.execute("SELECT expires_at FROM duties WHERE duty = 'cron'")
            [found] = await cursor.fetchall()
        moment: datetime = found[0]
        return moment

    async def planning() -> None:
        first = await expiry()
        async with asyncio.timeout(10):
            while await expiry() == first:
                pass

    starts.before = planning
    assert await scheduler(pool, starts, poll_seconds=0.05).look() is not None


class PatientClock(ManualClock):
    """Notes how long it was asked to wait."""

    def __init__(self) -> None:
        super().__init__(SUNDAY)
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await super().sleep(seconds)


async def test_a_supplier_that_does_not_answer_is_asked_each_minute(pool: Pool, starts: Starts) -> None:
    stop = asyncio.Event()
    clock = PatientClock()
    starts.errors = [Retryable("no answer")] * 5

    async def stop_at_the_sixth() -> None:
        if len(starts.types) == 6:
            stop.set()

    starts.before = stop_at_the_sixth
    await scheduler(pool, starts, clock=clock).run(stop)
    assert [wait for wait in clock.waits if wait != 30][:5] == [60] * 5


async def test_a_supplier_that_refuses_is_asked_again_later_each_time_and_an_active_run_just_waits(
    pool: Pool, starts: Starts
) -> None:
    stop = asyncio.Event()
    clock = PatientClock()
    starts.errors = [Fatal("refused"), Fatal("refused"), RunRefused("active"), OSError("gone")]

    async def stop_at_the_fifth() -> None:
        if len(starts.types) == 5:
            stop.set()

    starts.before = stop_at_the_fifth
    await scheduler(pool, starts, clock=clock).run(stop)
    assert len(starts.types) == 5
    # The duty is renewed by the same clock, each 30 s; that is also the wait after the refusal.
    assert [wait for wait in clock.waits if wait != 30][:3] == [60, 120, 60]


async def test_a_stop_ends_a_planning_under_way(pool: Pool, starts: Starts) -> None:
    stop = asyncio.Event()

    async def never_done() -> None:
        stop.set()
        await asyncio.Event().wait()

    starts.before = never_done
    async with asyncio.timeout(5):
        await scheduler(pool, starts).run(stop)
    async with pool.connection() as conn:
        assert await store.find_active_run(conn, "nivoda") is None


async def test_a_run_from_before_the_clock_was_set_back_does_not_keep_the_next_ones_away(
    pool: Pool, starts: Starts
) -> None:
    half_a_year_away = (datetime.now(UTC).month + 5) % 12 + 1
    seldom = f"0 0 1 {half_a_year_away} *"
    cron = scheduler(pool, starts, nightly=seldom, full=seldom)
    assert await cron.look() is not None
    async with pool.connection() as conn:
        await conn.execute(
            "UPDATE run_metadata SET state = 'cancelled', completed_at = now(),"
            " started_at = started_at + interval '30 days'"
        )

    assert await cron.look() is not None
    async with pool.connection() as conn:
        await conn.execute("UPDATE run_metadata SET state = 'cancelled', completed_at = now()")
    assert await cron.look() is None, "this year's run has been started"


async def test_a_duty_from_before_the_clock_was_set_back_is_taken_over(pool: Pool) -> None:
    async with pool.connection() as conn:
        assert await store.take_duty(conn, "cron", holder=uuid4(), lease_seconds=20)
        assert not await store.take_duty(conn, "cron", holder=uuid4(), lease_seconds=0.5)
        await conn.execute("UPDATE duties SET expires_at = expires_at + interval '3 hours'")
        assert await store.take_duty(conn, "cron", holder=uuid4(), lease_seconds=20)
