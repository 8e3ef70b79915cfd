"""Clocks: the system's is aware and does not jump, the manual one belongs to the test."""

from datetime import UTC, datetime, timedelta

from diamond_opus.domain.clock import ManualClock, SystemClock


async def test_sleeping_on_a_manual_clock_passes_time_and_takes_none() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock = ManualClock(start)

    await clock.sleep(3_600)
    clock.advance(seconds=0.5)

    assert clock.now() == start + timedelta(seconds=3_600.5)
    assert clock.monotonic() == 3_600.5


def test_the_systems_clock_tells_utc_and_never_runs_backwards() -> None:
    clock = SystemClock()
    before = clock.monotonic()

    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() >= before
