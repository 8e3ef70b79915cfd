"""The request budget: what every budget does, and how the shared one spaces, climbs and backs off."""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest
from feed_builders import RecordingClock
from scripted_server import ScriptedSupplier, count_answer
from structlog.testing import capture_logs

from booked_slots import count_slots, note_slots
from diamond_opus.db.pool import Pool, open_pool
from diamond_opus.domain.errors import Retryable
from diamond_opus.feeds.budget import (
    LATE_SECONDS,
    Outcome,
    PostgresBudget,
    RequestBudget,
    UnlimitedBudget,
    Verdict,
    account_key,
)

GOOD = Outcome("Page", Verdict.GOOD, 0.1)


def throttled(*, seconds: float = 0.1, pause: float = 20) -> Outcome:
    return Outcome("Page", Verdict.THROTTLED, seconds, pause)


@pytest.fixture
def patience() -> RecordingClock:
    return RecordingClock()


@pytest.fixture(params=["unlimited", "postgres"])
def budget(request: pytest.FixtureRequest, pool: Pool, patience: RecordingClock) -> RequestBudget:
    return UnlimitedBudget() if request.param == "unlimited" else PostgresBudget(pool, "account", patience)


def make_budget(pool: Pool, clock: RecordingClock, **rates: Any) -> PostgresBudget:
    return PostgresBudget(pool, "account", clock, **{"max_per_second": 2, "start_per_second": 2, **rates})


async def read_row(pool: Pool, columns: str) -> Any:
    """The account's row; times come as seconds from now."""
    async with pool.connection() as conn:
        cursor = await conn.execute(
            f"SELECT {columns} FROM request_budget WHERE account = 'account'".encode()
        )
        row = await cursor.fetchone()
        assert row is not None
        return row[0]


async def end_pause(pool: Pool) -> None:
    async with pool.connection() as conn:
        await conn.execute("UPDATE request_budget SET paused_until = clock_timestamp() - interval '1 second'")


PAUSE_LEFT = "extract(epoch FROM paused_until - clock_timestamp())::float8"


# What every budget does.


async def test_a_request_may_leave_sooner_or_later(budget: RequestBudget) -> None:
    for _ in range(3):
        await budget.acquire()


@pytest.mark.parametrize("verdict", list(Verdict))
async def test_a_budget_goes_on_after_any_outcome(budget: RequestBudget, verdict: Verdict) -> None:
    await budget.acquire()
    await budget.report(Outcome("Page", verdict, 0.2, pause_seconds=3))

    await budget.acquire()


async def test_many_may_ask_at_once(budget: RequestBudget) -> None:
    await asyncio.gather(*(budget.acquire() for _ in range(10)))


# The one without limits.


async def test_an_unlimited_budget_counts() -> None:
    budget = UnlimitedBudget()
    for _ in range(3):
        await budget.acquire()
        await budget.report(GOOD)
    await budget.report(throttled())

    assert (budget.acquired, budget.verdicts) == (3, {Verdict.GOOD: 3, Verdict.THROTTLED: 1})


# The shared one.


def test_an_account_is_named_by_host_and_digest() -> None:
    key = account_key("https://user:secret@integrations.nivoda.net:8443/api/diamonds", "me@example.com")

    assert key.startswith("integrations.nivoda.net:8443:")
    assert "me" not in key
    assert "secret" not in key
    assert key != account_key("https://integrations.nivoda.net:8443/api/diamonds", "you@example.com")


@pytest.mark.parametrize(("start", "fastest"), [(3, 2), (0, 2), (-1, 2)])
def test_rates_that_contradict_each_other_are_refused(start: float, fastest: float) -> None:
    pool = open_pool("host=127.0.0.1", application_name="test", max_size=1)

    with pytest.raises(ValueError, match="a budget cannot start"):
        PostgresBudget(pool, "a", RecordingClock(), max_per_second=fastest, start_per_second=start)


async def test_slots_stand_evenly_apart_whoever_takes_them(pool: Pool, patience: RecordingClock) -> None:
    here, there = make_budget(pool, patience), make_budget(pool, RecordingClock())
    first = await read_slot(pool, here)
    slots = [await read_slot(pool, budget) - first for budget in (there, here, there)]

    assert slots == pytest.approx([0.55, 1.1, 1.65])


async def read_slot(pool: Pool, budget: PostgresBudget) -> float:
    """Acquire, and tell when the next slot will be."""
    await budget.acquire()
    return float(await read_row(pool, "extract(epoch FROM next_slot_at)"))


async def test_the_caller_waits_for_its_slot(pool: Pool, patience: RecordingClock) -> None:
    budget = make_budget(pool, patience)
    for _ in range(3):
        await budget.acquire()

    # The database's own clock went on meanwhile; these waits are at most what the slots say.
    assert [0.4 < wait <= 0.55 * slot for slot, wait in enumerate(patience.slept, start=1)] == [True, True]


async def test_the_rate_starts_low_and_climbs_with_good_answers_up_to_the_limit(
    pool: Pool, patience: RecordingClock
) -> None:
    budget = make_budget(pool, patience, max_per_second=3, start_per_second=1)
    rates = []
    for _ in range(13):
        await budget.acquire()
        rates.append(await read_row(pool, "rate"))
        await budget.report(GOOD)

    assert rates == pytest.approx([1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.4, 2.6, 2.8, 3, 3, 3])


async def test_a_rate_between_two_numbers_counts_as_the_lower(pool: Pool, patience: RecordingClock) -> None:
    budget = make_budget(pool, patience, max_per_second=2.9, start_per_second=2.9)
    first = await read_slot(pool, budget)

    assert await read_slot(pool, budget) - first == pytest.approx(0.55)


async def test_a_rate_below_one_a_second_is_kept(pool: Pool, patience: RecordingClock) -> None:
    budget = make_budget(pool, patience, max_per_second=1 / 30, start_per_second=1 / 30)
    first = await read_slot(pool, budget)

    assert await read_slot(pool, budget) - first == pytest.approx(33)


async def test_twenty_refusals_of_one_incident_halve_the_rate_once_and_pause_everybody(
    pool: Pool, patience: RecordingClock
) -> None:
    budgets = [make_budget(pool, patience, max_per_second=16, start_per_second=16) for _ in range(4)]
    await budgets[0].acquire()

    pauses = [throttled(pause=20 if number == 7 else 5) for number in range(20)]
    await asyncio.gather(*(budgets[number % 4].report(pause) for number, pause in enumerate(pauses)))

    assert await read_row(pool, "rate") == 8
    assert 15 < await read_row(pool, PAUSE_LEFT) <= 20
    await budgets[3].acquire()
    assert 15 < patience.slept[-1] <= 20


async def test_a_refusal_after_the_pause_halves_again(pool: Pool, patience: RecordingClock) -> None:
    budget = make_budget(pool, patience, max_per_second=16, start_per_second=16)
    await budget.acquire()
    await budget.report(throttled())
    await end_pause(pool)

    await budget.report(throttled(seconds=0.5))

    assert await read_row(pool, "rate") == 4


async def test_a_refusal_of_a_request_sent_during_the_pause_belongs_to_it(
    pool: Pool, patience: RecordingClock
) -> None:
    budget = make_budget(pool, patience, max_per_second=16, start_per_second=16)
    await budget.acquire()
    await budget.report(throttled())
    await end_pause(pool)

    await budget.report(throttled(seconds=40))

    assert await read_row(pool, "rate") == 8


async def test_the_rate_does_not_fall_below_its_floor(pool: Pool, patience: RecordingClock) -> None:
    budget = make_budget(pool, patience)
    await budget.acquire()
    for _ in range(10):
        await budget.report(throttled())
        await end_pause(pool)

    assert await read_row(pool, "rate") == pytest.approx(0.2)


async def test_nothing_climbs_during_a_pause(pool: Pool, patience: RecordingClock) -> None:
    budget, other = (make_budget(pool, patience, max_per_second=16, start_per_second=16) for _ in range(2))
    await budget.acquire()
    await budget.report(throttled())
    for _ in range(10):
        await other.report(GOOD)

    await other.acquire()

    assert await read_row(pool, "rate") == 8


async def test_answers_that_grow_slow_lower_the_rate_gently(pool: Pool, patience: RecordingClock) -> None:
    budget = make_budget(pool, patience, max_per_second=16, start_per_second=16)
    await budget.acquire()
    for _ in range(50):
        await budget.report(GOOD)
    await budget.acquire()
    for _ in range(10):
        await budget.report(Outcome("Page", Verdict.GOOD, 2.0))
    await budget.acquire()

    assert 15 <= await read_row(pool, "rate") < 16


async def test_answers_of_different_kinds_are_not_compared(pool: Pool, patience: RecordingClock) -> None:
    budget = make_budget(pool, patience, max_per_second=16, start_per_second=10)
    await budget.acquire()
    for _ in range(10):
        await budget.report(Outcome("Count", Verdict.GOOD, 0.1))
        await budget.report(Outcome("Page", Verdict.GOOD, 2.0))
    await budget.acquire()

    assert await read_row(pool, "rate") == pytest.approx(14)


async def test_the_rate_is_logged_when_it_is_another_one(pool: Pool, patience: RecordingClock) -> None:
    budget = make_budget(pool, patience, max_per_second=16, start_per_second=2)
    with capture_logs() as logs:
        for _ in range(10):
            await budget.acquire()
            await budget.report(GOOD)
        await budget.report(throttled())
        await end_pause(pool)
        await budget.acquire()
    told = [(log["direction"], log["before"], log["per_second"], log["reason"]) for log in logs]
    assert told == [("up", 2, 3, "answers are good"), ("down", 3, 1.9, "the supplier throttles us")]


async def test_a_rate_that_another_process_lowered_is_told_as_such(
    pool: Pool, patience: RecordingClock
) -> None:
    here, there = (make_budget(pool, patience, max_per_second=16, start_per_second=16) for _ in range(2))
    await here.acquire()
    await there.report(throttled())
    with capture_logs() as logs:
        await here.acquire()
    assert [log["reason"] for log in logs] == ["another process was throttled or slowed down"]


async def test_failures_do_not_make_the_rate_climb(pool: Pool, patience: RecordingClock) -> None:
    budget = make_budget(pool, patience, max_per_second=16, start_per_second=2)
    await budget.acquire()
    await budget.report(Outcome("Page", Verdict.FAILED, 0.1))
    await budget.acquire()

    assert await read_row(pool, "rate") == 2


class DozingClock(RecordingClock):
    """Wakes up too late the first few times."""

    def __init__(self, *oversleeps: float) -> None:
        super().__init__()
        self._oversleeps = list(oversleeps)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds + (self._oversleeps.pop(0) if self._oversleeps else 0.0))


async def test_a_slot_that_was_missed_is_left_and_another_booked(pool: Pool) -> None:
    dozing = make_budget(pool, DozingClock(LATE_SECONDS + 0.07))
    first = await read_slot(pool, dozing)

    second = await read_slot(pool, dozing)

    # One slot was wasted, and the one taken instead has room for as much lateness and half as much again.
    assert second - first == pytest.approx(2 * 0.55 + 1.5 * (LATE_SECONDS + 0.07))


async def test_a_process_that_stood_still_for_an_hour_does_not_make_everybody_wait_for_one(
    pool: Pool,
) -> None:
    asleep = make_budget(pool, DozingClock(3600))
    await asleep.acquire()

    await asleep.acquire()

    assert asleep._slack == pytest.approx(0.9)
    assert await read_row(pool, "extract(epoch FROM next_slot_at - clock_timestamp())") < 5


async def test_a_process_that_misses_every_slot_goes_on_with_a_warning(pool: Pool) -> None:
    hopeless = make_budget(pool, DozingClock(*[2.0] * 20))
    await hopeless.acquire()

    with capture_logs() as logs:
        await hopeless.acquire()

    assert [log["event"] for log in logs] == ["request_budget_slots_missed"]


async def test_a_little_lateness_is_within_the_jitter(pool: Pool) -> None:
    dozing = make_budget(pool, DozingClock(LATE_SECONDS - 0.005))
    first = await read_slot(pool, dozing)

    assert await read_slot(pool, dozing) - first == pytest.approx(0.55)


async def test_a_database_without_the_table_is_told_as_retryable(
    pool: Pool, patience: RecordingClock
) -> None:
    budget = make_budget(pool, patience)
    async with pool.connection() as conn:
        await conn.execute("ALTER TABLE request_budget RENAME TO gone")

    with pytest.raises(Retryable, match="request budget: no slot could be booked"):
        await budget.acquire()
    with capture_logs() as logs:
        await budget.report(throttled())
    assert [log["event"] for log in logs] == ["request_budget_pause_lost"]


async def test_a_database_out_of_reach_is_told_as_retryable(patience: RecordingClock) -> None:
    pool = open_pool(
        "host=127.0.0.1 port=1", application_name="test", max_size=1, connect_timeout_seconds=0.2
    )
    async with pool:
        with pytest.raises(Retryable):
            await make_budget(pool, patience).acquire()


async def test_invariant_09_no_second_sees_more_requests_than_the_rate_from_all_processes_logins_included(
    pool: Pool, database_url: str
) -> None:
    rate, processes, requests = 20, 2, 20
    await note_slots(pool)
    async with ScriptedSupplier() as supplier:
        supplier.then(*[count_answer(1)] * (processes * requests))
        program = [sys.executable, str(Path(__file__).with_name("budget_process.py"))]
        arguments = [database_url, supplier.url, str(requests), str(rate)]
        running = [
            await asyncio.create_subprocess_exec(*program, *arguments, stdin=PIPE, stdout=PIPE)
            for _ in range(processes)
        ]
        for process in running:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        began_at = time.monotonic()
        await asyncio.gather(*(process.communicate(b"go\n") for process in running))
        assert [process.returncode for process in running] == [0] * processes

    arrivals = [seen.at for seen in supplier.seen]
    assert len(arrivals) == processes * (requests + 1)
    slots, in_one_second = await count_slots(pool)
    assert slots >= len(arrivals), "no request without a slot of its own"
    assert in_one_second <= rate
    # Arrivals may be seen late, and never early: so long they take when each waits for its slot.
    assert arrivals[-1] - began_at >= (len(arrivals) - 1) / rate


async def test_slots_and_pauses_from_before_the_clock_was_set_back_hold_nobody(
    pool: Pool, patience: RecordingClock
) -> None:
    budget = make_budget(pool, patience)
    await budget.acquire()
    async with pool.connection() as conn:
        await conn.execute(
            "UPDATE request_budget SET next_slot_at = next_slot_at + interval '3 hours',"
            " paused_until = clock_timestamp() + interval '3 hours'"
        )
    await budget.acquire()
    await budget.acquire()
    assert max(patience.slept, default=0) < 5
