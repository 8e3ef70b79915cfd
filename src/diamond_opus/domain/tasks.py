"""Tasks that must not outlive their owner, or a word to stop."""

import asyncio
from collections.abc import Awaitable
from typing import Any

_PATIENCE_SECONDS = 1.0


async def end(task: "asyncio.Future[Any]") -> None:
    """Cancel it until it is done, whatever it ends with.

    More than once: a driver may answer a cancellation with an error of its own, which a loop takes for an outage.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=_PATIENCE_SECONDS)


async def work_unless(stop: asyncio.Event, work: Awaitable[object], *, grace_seconds: float = 0.0) -> None:
    """Do the work to its end; when ``stop`` comes first it has its grace, and is cancelled. Raises what it raises."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if grace_seconds:
            await asyncio.wait((working,), timeout=grace_seconds)
    finally:
        stopping.cancel()
        await end(working)
    if not working.cancelled():
        working.result()
