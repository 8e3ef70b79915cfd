"""Waiting for something to happen, but not for ever."""

import asyncio

from diamond_opus.domain.clock import Clock


async def wait_for_event(event: asyncio.Event, clock: Clock, *, at_most_seconds: float) -> None:
    """Return when ``event`` is set or the time is over, whichever is first."""
    tasks = {asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(at_most_seconds))}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
