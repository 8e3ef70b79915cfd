"""Work that outlives the request that began it; it ends, at the latest, with the application."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from diamond_opus.observability.logging import get_logger

log = get_logger(__name__)


class Background:
    """Tasks of this process. A failure is logged; whoever waits for the task gets it too."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancel what goes on, and wait for its end."""
        tasks = list(self._tasks)
        while pending := [task for task in tasks if not task.done()]:
            # More than once: a wait for a pooled connection can lose a cancellation that comes with its success.
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=1)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("background_work_failed", reason=str(task.exception()))
