"""The consumer loop when it is told to stop, and when its transport goes away."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import psycopg
import pytest
from consumer_bench import BENCHES, LIMITS, SOON, START, Bench, CountedRenewals, Gate, do_nothing
from structlog.testing import capture_logs

from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import Clock, ManualClock
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.queue.consumer import Handler, Tally, consume
from diamond_opus.queue.memory import MemoryQueue
from diamond_opus.queue.postgres import PostgresQueue
from diamond_opus.queue.protocol import WORK_ITEMS, Message, Queue, Received


@pytest.fixture(params=BENCHES, ids=["memory", "postgres"])
def bench(request: pytest.FixtureRequest) -> Bench:
    make: Callable[[pytest.FixtureRequest], Bench] = request.param
    return make(request)


async def run_until(
    bench: Bench, handler: Handler, stop: asyncio.Event, *, grace_seconds: float = SOON
) -> Tally:
    return await asyncio.wait_for(
        consume(bench.queue, handler, stop=stop, wait_seconds=0.05, grace_seconds=grace_seconds), 2 * SOON
    )


async def test_on_stop_a_running_handler_may_finish_and_nothing_more_is_received(bench: Bench) -> None:
    gate, stop = Gate(), asyncio.Event()
    await bench.send("a", "b")
    consuming = asyncio.create_task(run_until(bench, gate, stop))
    await asyncio.wait_for(gate.entered.get(), SOON)
    stop.set()
    await asyncio.sleep(0)
    gate.opened.set()

    assert await consuming == Tally(completed=1)
    assert [message.id for message in await bench.waiting()] == ["b"]


async def test_on_stop_a_handler_that_does_not_finish_is_cancelled_and_gives_its_message_back(
    bench: Bench,
) -> None:
    gate, stop = Gate(), asyncio.Event()
    await bench.send("a")
    consuming = asyncio.create_task(run_until(bench, gate, stop, grace_seconds=0.05))
    await asyncio.wait_for(gate.entered.get(), SOON)
    stop.set()

    assert await consuming == Tally(abandoned=1)
    assert gate.inside == 0
    assert [message.delivery_count for message in await bench.waiting()] == [1]


async def test_a_cancelled_consumer_gives_back_what_it_holds(bench: Bench) -> None:
    gate = Gate()
    await bench.send("a")
    consuming = asyncio.create_task(consume(bench.queue, gate, stop=asyncio.Event()))
    await asyncio.wait_for(gate.entered.get(), SOON)
    consuming.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(consuming, SOON)

    assert [message.delivery_count for message in await bench.waiting()] == [1]


async def test_a_handler_that_ignores_its_cancellation_does_not_keep_the_process() -> None:
    queue = MemoryQueue(WORK_ITEMS, LIMITS)
    stop, end = asyncio.Event(), asyncio.Event()

    async def stubborn(_message: Received) -> None:
        stop.set()
        while not end.is_set():
            with suppress(asyncio.CancelledError):
                await end.wait()

    await queue.send([Message({}, "a")])
    with capture_logs() as logs:
        tally = await asyncio.wait_for(consume(queue, stubborn, stop=stop, grace_seconds=0.01), SOON)

    assert tally == Tally()
    assert "handlers_did_not_stop" in [line["event"] for line in logs]
    end.set()


class LateDelivery(CountedRenewals):
    """Is told to stop while its messages are on their way."""

    def __init__(self, queue: Queue, stop: asyncio.Event) -> None:
        super().__init__(queue)
        self._stop = stop

    async def receive(self, limit: int = 1, *, wait_seconds: float = 1.0) -> Sequence[Received]:
        messages = await super().receive(limit, wait_seconds=wait_seconds)
        self._stop.set()
        for _ in range(10):
            await asyncio.sleep(0)
        return messages


async def test_messages_that_arrive_after_stop_are_given_back_unhandled(bench: Bench) -> None:
    gate, stop = Gate(), asyncio.Event()
    await bench.send("a")
    plain, bench.queue = bench.queue, LateDelivery(bench.queue, stop)

    assert await run_until(bench, gate, stop) == Tally(abandoned=1)

    assert gate.most_inside == 0
    assert len(await plain.receive(1, wait_seconds=0)) == 1


async def test_an_idle_consumer_stops_soon(bench: Bench) -> None:
    stop = asyncio.Event()
    consuming = asyncio.create_task(run_until(bench, do_nothing, stop))
    await asyncio.sleep(0)
    stop.set()

    assert await consuming == Tally()


class Unreliable(CountedRenewals):
    """Its transport is out of reach for the first ``failures`` receives."""

    def __init__(self, queue: Queue, failures: int) -> None:
        super().__init__(queue)
        self.failures = failures
        self.asked = asyncio.Event()

    async def receive(self, limit: int = 1, *, wait_seconds: float = 1.0) -> Sequence[Received]:
        self.asked.set()
        if self.failures > 0:
            self.failures -= 1
            raise Retryable("the broker is out of reach")
        return await super().receive(limit, wait_seconds=wait_seconds)


async def test_an_outage_is_logged_once_waited_out_and_forgotten() -> None:
    clock = ManualClock(START)
    queue = Unreliable(MemoryQueue(WORK_ITEMS, LIMITS, clock=clock), failures=6)
    await queue.send([Message({}, "a")])

    with capture_logs() as logs:
        tally = await asyncio.wait_for(
            consume(queue, do_nothing, stop=asyncio.Event(), until_idle=True, wait_seconds=0, clock=clock),
            SOON,
        )

    assert tally == Tally(completed=1)
    assert [line["event"] for line in logs] == ["queue_unreachable", "queue_reachable_again"]
    assert 20 <= clock.monotonic() <= 63  # 1, 2, 4, 8, 16 and 30 s, each less up to half


async def test_a_consumer_can_be_stopped_during_an_outage() -> None:
    stop = asyncio.Event()
    queue = Unreliable(MemoryQueue(WORK_ITEMS, LIMITS), failures=10**6)
    consuming = asyncio.create_task(consume(queue, do_nothing, stop=stop))
    await queue.asked.wait()
    stop.set()

    assert await asyncio.wait_for(consuming, SOON) == Tally()


async def test_lost_database_connections_are_survived(pool: Pool, database_url: str) -> None:
    clock: Clock = ManualClock(START)
    queue = PostgresQueue(pool, WORK_ITEMS, LIMITS, clock=clock)
    ids = [f"m{n}" for n in range(5)]
    await queue.send([Message({}, i) for i in ids])
    handled: set[str] = set()

    async def handler(message: Received) -> None:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as assassin:
            await assassin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        handled.add(message.id)

    await asyncio.wait_for(
        consume(queue, handler, stop=asyncio.Event(), until_idle=True, wait_seconds=0, clock=clock), SOON
    )

    assert handled == set(ids)


async def test_an_error_that_waiting_cannot_heal_is_raised(pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute("DROP SCHEMA pgmq CASCADE")

    with pytest.raises(Fatal, match="run `diamond db migrate`"):
        await consume(PostgresQueue(pool, WORK_ITEMS, LIMITS), do_nothing, stop=asyncio.Event())
