"""Ending tasks that must not outlive their owner."""

import asyncio
from typing import Any

_PATIENCE_SECONDS = 1.0


async def end(task: "asyncio.Task[Any]") -> None:
    """Cancel it until it is done, whatever it ends with.

    More than once: a driver may answer a cancellation with an error of its own, which a loop takes for an outage.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=_PATIENCE_SECONDS)
