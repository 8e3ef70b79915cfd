"""Counts over a million rows, taken once for each state of the data: exact while nothing changed, and said when not."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from diamond_opus.db.pool import Connection, Pool, transaction
from diamond_opus.domain.clock import Clock
from diamond_opus.observability.metrics import count_cache

Value = TypeVar("Value")
#: Starts a task that outlives whoever asked for it.
Spawn = Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]

#: A count that takes no longer than this is always waited for: all but the biggest inventories are always current.
SHORT_SECONDS = 0.25
#: How long a reader waits for a longer one before it is given the last.
PATIENCE_SECONDS = 0.03
#: After a longer one there is a rest of so many times its length: counting must not fill a core of the database.
REST = 3
#: A count older than this is not given to anybody: who asks waits for the new one.
OLDEST_SECONDS = 10.0
#: Even when the key says that nothing changed it is counted anew this often: somebody may have used plain SQL.
TRUST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Remembered(Generic[Value]):
    """``is_current``: taken from the data as it was when you asked, or later."""

    value: Value
    counted_at: datetime
    is_current: bool


@dataclass(frozen=True, slots=True)
class _Counted(Generic[Value]):
    key: object
    value: Value
    counted_at: datetime
    monotonic: float
    seconds: float
    generation: int


class Counter(Generic[Value]):
    """One count for all readers of this process.

    ``read_key`` is quick and changes whenever ``count`` could give something else; None says that nobody knows, and
    then every reader counts. ``spawn`` runs the counting, which a reader who goes away must not stop.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        *,
        read_key: Callable[[Connection], Awaitable[object | None]],
        count: Callable[[Connection], Awaitable[Value]],
        spawn: Spawn,
        connection_timeout_seconds: float,
        statement_timeout_ms: int,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._read_key = read_key
        self._count = count
        self._spawn = spawn
        self._connection_timeout_seconds = connection_timeout_seconds
        self._timeout_ms = statement_timeout_ms
        self._last: _Counted[Value] | None = None
        self._running: asyncio.Task[_Counted[Value]] | None = None
        self._generation = 0

    async def read(self) -> Remembered[Value]:
        """Raises what counting raises, if there is nothing to give instead. To be called without a connection in hand:
        who waits for the count must not hold the one that the count needs.
        """
        async with self._pool.connection(timeout=self._connection_timeout_seconds) as conn:
            key = await self._read_key(conn)
        asked_at_generation = self._generation
        last = self._last
        if last is not None and key is not None and last.key == key:
            if self._age(last) > TRUST_SECONDS:
                self._start()
            return _remembered(last, is_current=True)
        if last is not None and key is not None and self._is_resting(last):
            return _remembered(last, is_current=False)
        waiting = self._until_current(key, asked_at_generation)
        if last is None or key is None or last.seconds <= SHORT_SECONDS or self._age(last) > OLDEST_SECONDS:
            counted = await waiting
        else:
            try:
                counted = await asyncio.wait_for(waiting, PATIENCE_SECONDS)
            except TimeoutError:
                return _remembered(last, is_current=False)
        count_cache("counts", hit=False)
        return Remembered(counted.value, counted.counted_at, is_current=True)

    async def _until_current(self, key: object | None, generation: int) -> _Counted[Value]:
        """A count that began after the question, or one of the very state that was asked about."""
        while True:
            counted = await asyncio.shield(self._start())
            if counted.generation > generation or (key is not None and counted.key == key):
                return counted

    def _start(self) -> asyncio.Task[_Counted[Value]]:
        """The count under way, or a new one."""
        if self._running is None or self._running.done():
            self._generation += 1
            self._running = self._spawn(self._take(self._generation))
        return self._running

    async def _take(self, generation: int) -> _Counted[Value]:
        async with (
            self._pool.connection() as conn,
            transaction(conn, statement_timeout_ms=self._timeout_ms, snapshot=True),
        ):
            started = self._clock.monotonic()
            key = await self._read_key(conn)
            value = await self._count(conn)
        ended = self._clock.monotonic()
        self._last = _Counted(key, value, self._clock.now(), ended, ended - started, generation)
        return self._last

    def _is_resting(self, last: _Counted[Value]) -> bool:
        return last.seconds > SHORT_SECONDS and self._age(last) < min(REST * last.seconds, OLDEST_SECONDS)

    def _age(self, counted: _Counted[Value]) -> float:
        return self._clock.monotonic() - counted.monotonic


def _remembered(last: _Counted[Value], *, is_current: bool) -> Remembered[Value]:
    """What was counted before, without counting."""
    count_cache("counts", hit=True)
    return Remembered(last.value, last.counted_at, is_current)
