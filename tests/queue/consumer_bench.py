"""What the tests of the consumer loop share: a queue of each kind, a clock that stands still, watched parts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.queue.consumer import Handler, Tally, consume
from diamond_opus.queue.limits import QueueLimits
from diamond_opus.queue.memory import MemoryQueue
from diamond_opus.queue.postgres import PostgresQueue
from diamond_opus.queue.protocol import WORK_ITEMS, DeadLetter, Message, Queue, Received

LEASE = 30
LIMITS = QueueLimits(lease_seconds=LEASE, max_deliveries=3)
START = datetime(2026, 1, 1, tzinfo=UTC)
SOON = 10.0


class SteppedClock:
    """Time that moves only when the test says so; whoever sleeps wakes when his time has come."""

    def __init__(self) -> None:
        self._clock = ManualClock(START)
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.monotonic() + seconds, woken))
        await woken.wait()

    def advance(self, seconds: float) -> None:
        self._clock.advance(seconds=seconds)
        for until, woken in self._sleepers:
            if until <= self.monotonic():
                woken.set()


@dataclass
class Bench:
    queue: Queue
    clock: SteppedClock
    elapse: Callable[[float], Awaitable[None]]

    async def send(self, *ids: str) -> None:
        await self.queue.send([Message({"id": i}, i, {"runId": "r1"}) for i in ids])

    async def consume_all(self, handler: Handler, *, concurrency: int = 1) -> Tally:
        return await asyncio.wait_for(
            consume(
                self.queue,
                handler,
                stop=asyncio.Event(),
                until_idle=True,
                wait_seconds=0,
                concurrency=concurrency,
                clock=self.clock,
            ),
            SOON,
        )

    async def waiting(self) -> Sequence[Received]:
        return await self.queue.receive(10, wait_seconds=0)


def memory_bench(_request: pytest.FixtureRequest) -> Bench:
    clock = SteppedClock()

    async def elapse(seconds: float) -> None:
        clock.advance(seconds)

    return Bench(MemoryQueue(WORK_ITEMS, LIMITS, clock=clock), clock, elapse)


def postgres_bench(request: pytest.FixtureRequest) -> Bench:
    pool: Pool = request.getfixturevalue("pool")
    clock = SteppedClock()

    async def elapse(seconds: float) -> None:
        async with pool.connection() as connection:
            await connection.execute(
                "UPDATE pgmq.q_work_items SET vt = vt - make_interval(secs => %s)", [seconds]
            )
        clock.advance(seconds)

    return Bench(PostgresQueue(pool, WORK_ITEMS, LIMITS, clock=clock), clock, elapse)


BENCHES: Sequence[Callable[[pytest.FixtureRequest], Bench]] = (memory_bench, postgres_bench)


async def do_nothing(_message: Received) -> None:
    return


def raising(error: Exception) -> Handler:
    async def handler(_message: Received) -> None:
        raise error

    return handler


class Gate:
    """A handler that tells how many messages are inside, and lets none out before it is opened."""

    def __init__(self) -> None:
        self.entered: asyncio.Queue[Received] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.inside = 0
        self.most_inside = 0

    async def __call__(self, message: Received) -> None:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.entered.put_nowait(message)
        try:
            await self.opened.wait()
        finally:
            self.inside -= 1


class CountedRenewals:
    """Passes everything on and tells when a lease was renewed."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.renewed: asyncio.Queue[Received] = asyncio.Queue()

    @property
    def name(self) -> str:
        return self._queue.name

    async def send(self, messages: Sequence[Message], *, delay_seconds: float = 0) -> None:
        await self._queue.send(messages, delay_seconds=delay_seconds)

    async def receive(self, limit: int = 1, *, wait_seconds: float = 1.0) -> Sequence[Received]:
        return await self._queue.receive(limit, wait_seconds=wait_seconds)

    async def complete(self, message: Received) -> None:
        await self._queue.complete(message)

    async def abandon(self, message: Received, *, delay_seconds: float = 0) -> bool:
        return await self._queue.abandon(message, delay_seconds=delay_seconds)

    async def dead_letter(self, message: Received, *, reason: str, description: str = "") -> None:
        await self._queue.dead_letter(message, reason=reason, description=description)

    async def renew(self, message: Received) -> Received:
        renewed = await self._queue.renew(message)
        self.renewed.put_nowait(renewed)
        return renewed

    async def dead_letters(self, limit: int = 100) -> Sequence[DeadLetter]:
        return await self._queue.dead_letters(limit)

    async def replay(self, dead_letter_id: str) -> bool:
        return await self._queue.replay(dead_letter_id)

    async def count_dead_letters(self, before: datetime) -> int:
        return await self._queue.count_dead_letters(before)

    async def purge_dead_letters(self, before: datetime, *, limit: int) -> int:
        return await self._queue.purge_dead_letters(before, limit=limit)
