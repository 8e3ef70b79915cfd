"""The duties that a process has beside its work: a turn, a pause, the next turn, until it is told to stop."""

import asyncio
from collections.abc import Awaitable, Callable

from diamond_opus.domain.clock import Clock
from diamond_opus.domain.tasks import work_unless
from diamond_opus.domain.waiting import wait_for_event
from diamond_opus.observability.logging import get_logger

log = get_logger(__name__)


async def take_turns(
    stop: asyncio.Event,
    turn: Callable[[], Awaitable[object]],
    *,
    duty: str,
    clock: Clock,
    pause_seconds: Callable[[], float],
    grace_seconds: float = 0.0,
) -> None:
    """Until ``stop``, after which a turn under way has its grace and is then cancelled.

    A turn tells the troubles it knows itself. What nobody thought of is told here with its trace, and the next turn
    comes all the same: one duty that stumbles must not end a process that has others, such as to serve shops.
    """
    while not stop.is_set():
        try:
            await work_unless(stop, turn(), grace_seconds=grace_seconds)
        except Exception:
            log.exception("turn_broken", duty=duty)
        await wait_for_event(stop, clock, at_most_seconds=pause_seconds())
