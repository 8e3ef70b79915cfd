"""A duty goes on whatever a turn meets, and ends when it is told to, whatever a turn does."""

import asyncio

import pytest
from structlog.testing import capture_logs

from diamond_opus.domain.clock import SystemClock
from diamond_opus.observability.turns import take_turns


async def run(turn: object, stop: asyncio.Event, *, grace_seconds: float = 0.0) -> None:
    assert callable(turn)
    await take_turns(
        stop,
        turn,
        duty="test",
        clock=SystemClock(),
        pause_seconds=lambda: 0.001,
        grace_seconds=grace_seconds,
    )


async def test_a_turn_that_nobody_thought_of_is_told_and_the_next_one_comes() -> None:
    stop, turns = asyncio.Event(), 0

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            stop.set()
        raise OverflowError("date value out of range")

    with capture_logs() as logs:
        await run(turn, stop)

    assert turns == 3
    assert [(log["event"], log["duty"], log["log_level"]) for log in logs][:2] == [
        ("turn_broken", "test", "error")
    ] * 2


async def test_a_turn_under_way_is_cancelled_by_the_stop() -> None:
    stop = asyncio.Event()

    async def turn() -> None:
        stop.set()
        await asyncio.sleep(60)

    async with asyncio.timeout(5):
        await run(turn, stop)


async def test_a_turn_may_end_within_its_grace() -> None:
    stop, is_done = asyncio.Event(), False

    async def turn() -> None:
        nonlocal is_done
        stop.set()
        await asyncio.sleep(0.05)
        is_done = True

    await run(turn, stop, grace_seconds=5)
    assert is_done


async def test_whoever_is_cancelled_takes_the_turn_along() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def turn() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    task = asyncio.create_task(run(turn, asyncio.Event()))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
