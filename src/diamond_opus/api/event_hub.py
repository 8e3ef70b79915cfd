"""Who hears of what changes: one look at the database a second for all listeners, however many there are."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import psycopg

from diamond_opus.analytics.progress import State, look
from diamond_opus.api.background import Background
from diamond_opus.api.dependencies import ApiDependencies
from diamond_opus.domain.errors import DiamondError
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.trace import use_trace

LOOK_SECONDS = 1.0
MOST_LISTENERS = 100

log = get_logger(__name__)


class Listener:
    """What one client has not been sent yet: the newest state of each thing, so that a slow one misses no end."""

    def __init__(self, states: Mapping[str, State]) -> None:
        self._pending = dict(states)
        self._changed = asyncio.Event()
        self._is_closed = False
        if self._pending:
            self._changed.set()

    def tell(self, changed: Mapping[str, State]) -> None:
        self._pending |= changed
        self._changed.set()

    def close(self) -> None:
        self._is_closed = True
        self._changed.set()

    async def next(self, *, at_most_seconds: float) -> list[State] | None:
        """What changed since, empty after the time; None when there will be no more."""
        try:
            await asyncio.wait_for(self._changed.wait(), at_most_seconds)
        except TimeoutError:
            return []
        if self._is_closed:
            return None
        states = list(self._pending.values())
        self._pending.clear()
        self._changed.clear()
        return states


class EventHub:
    """Looks while somebody listens, and not otherwise."""

    def __init__(self, dependencies: ApiDependencies, background: Background) -> None:
        self._dependencies = dependencies
        self._background = background
        self._listeners: set[Listener] = set()
        self._states: Mapping[str, State] = {}
        self._is_closed = False
        self._looking: asyncio.Task[None] | None = None
        self.looks = 0

    @property
    def is_full(self) -> bool:
        """Whether nobody more should begin to listen."""
        return len(self._listeners) >= MOST_LISTENERS

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[Listener]:
        """A listener that is first told everything as it is."""
        if self._looking is None or self._looking.done():
            self._states = {}
        listener = Listener(self._states)
        self._listeners.add(listener)
        if self._is_closed:
            listener.close()
        elif self._looking is None or self._looking.done():
            self._looking = self._background.start(self._look_while_somebody_listens())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """Every stream ends, and none begins any more."""
        self._is_closed = True
        for listener in self._listeners:
            listener.close()

    async def _look_while_somebody_listens(self) -> None:
        with use_trace(None):  # not a part of the request that happened to be the first
            while self._listeners and not self._is_closed:
                try:
                    await self._look()
                except (DiamondError, psycopg.Error, OSError) as error:
                    log.warning("events_not_looked_for", reason=str(error))
                await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        self.looks += 1
        async with self._dependencies.snapshot() as conn:
            states = await look(conn)
        changed = {key: state for key, state in states.items() if self._states.get(key) != state}
        self._states = states
        if changed:
            for listener in self._listeners:
                listener.tell(changed)
