"""What every queue promises, whatever carries it. A further transport joins by one more ``Bench`` factory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from diamond_opus.db.pool import open_pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.queue.limits import MAX_DELIVERIES_EXCEEDED, QueueLimits
from diamond_opus.queue.memory import MemoryQueue
from diamond_opus.queue.postgres import PostgresQueue
from diamond_opus.queue.protocol import WORK_ITEMS, LeaseLost, Message, Queue, Received

LEASE = 30
LIMITS = QueueLimits(lease_seconds=LEASE, max_deliveries=3)


@dataclass
class Bench:
    """A queue to try, and a way to let time pass for it."""

    queue: Queue
    elapse: Callable[[float], Awaitable[None]]

    async def send(self, *numbers: int, delay_seconds: float = 0) -> None:
        messages = [Message({"n": n}, f"id-{n}", {"runId": "r1"}) for n in numbers]
        await self.queue.send(messages, delay_seconds=delay_seconds)

    async def receive_one(self) -> Received:
        [message] = await self.queue.receive(1, wait_seconds=0)
        return message

    async def is_empty(self) -> bool:
        return not await self.queue.receive(10, wait_seconds=0)


@asynccontextmanager
async def memory_bench(_request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))

    async def elapse(seconds: float) -> None:
        clock.advance(seconds=seconds)

    yield Bench(MemoryQueue(WORK_ITEMS, LIMITS, clock=clock), elapse)


@asynccontextmanager
async def postgres_bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with open_pool(
        request.getfixturevalue("database_url"), application_name="test", max_size=8
    ) as pool:

        async def elapse(seconds: float) -> None:
            async with pool.connection() as connection:
                await connection.execute(
                    "UPDATE pgmq.q_work_items SET vt = vt - make_interval(secs => %s)", [seconds]
                )

        yield Bench(PostgresQueue(pool, WORK_ITEMS, LIMITS), elapse)


@asynccontextmanager
async def service_bus_bench(_request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """The real SDK against a broker on loopback, whose clock a test moves."""
    service_bus = pytest.importorskip("service_bus")

    async with service_bus.open_queue(WORK_ITEMS, LIMITS) as (queue, broker):

        async def elapse(seconds: float) -> None:
            await asyncio.to_thread(broker.advance, seconds)

        yield Bench(queue, elapse)


@pytest.fixture(
    params=[memory_bench, postgres_bench, service_bus_bench], ids=["memory", "postgres", "service bus"]
)
async def bench(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Bench]:
    # The database is named here, for one that is only asked for within a loop cannot be made.
    open_bench: Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Bench]] = request.param
    async with open_bench(request) as opened:
        yield opened


async def test_messages_come_in_the_order_in_which_they_were_sent(bench: Bench) -> None:
    await bench.send(1, 2)
    await bench.send(3)

    received = [*await bench.queue.receive(2, wait_seconds=0), await bench.receive_one()]

    assert [message.body["n"] for message in received] == [1, 2, 3]
    assert [message.delivery_count for message in received] == [0, 0, 0]


async def test_a_big_batch_keeps_its_order_also_after_being_given_back(bench: Bench) -> None:
    numbers = list(range(300))
    await bench.send(*numbers)
    for message in reversed(await bench.queue.receive(100, wait_seconds=0)):
        await bench.queue.abandon(message)

    received: list[Received] = []
    while messages := await bench.queue.receive(300, wait_seconds=0):
        received += messages

    assert [message.body["n"] for message in received] == numbers


async def test_no_more_messages_come_than_were_asked_for(bench: Bench) -> None:
    await bench.send(*range(5))

    assert len(await bench.queue.receive(3, wait_seconds=0)) == 3
    assert len(await bench.queue.receive(3, wait_seconds=0)) == 2


async def test_a_completed_message_never_comes_again(bench: Bench) -> None:
    await bench.send(1)
    await bench.queue.complete(await bench.receive_one())

    await bench.elapse(10 * LEASE)

    assert await bench.is_empty()
    assert await bench.queue.dead_letters() == []


async def test_sending_nothing_is_allowed(bench: Bench) -> None:
    await bench.queue.send([])

    assert await bench.is_empty()


async def test_id_body_and_properties_arrive_as_they_were_sent(bench: Bench) -> None:
    body = {"text": "2.5 ct Ω “oval”", "nested": {"list": [1, None, True, 2.5]}, "big": 2**53}
    properties = {"runId": "r1", "traceparent": "00-ab-cd-01", "odd key": "odd 'value'; --"}
    await bench.queue.send([Message(body, "the id", properties)])

    message = await bench.receive_one()

    assert (message.id, message.body, message.properties) == ("the id", body, properties)


async def test_a_message_without_an_id_gets_one(bench: Bench) -> None:
    await bench.queue.send([Message({}), Message({})])

    first, second = await bench.queue.receive(2, wait_seconds=0)

    assert first.id
    assert second.id
    assert first.id != second.id


async def test_a_leased_message_is_hidden_and_comes_again_when_the_lease_ends(bench: Bench) -> None:
    await bench.send(1)
    first = await bench.receive_one()

    await bench.elapse(LEASE - 5)
    hidden = await bench.is_empty()
    await bench.elapse(6)
    again = await bench.receive_one()

    assert hidden
    assert (again.id, again.body, again.delivery_count) == (first.id, first.body, 1)


SETTLEMENTS: dict[str, Callable[[Queue, Received], Awaitable[object]]] = {
    "complete": lambda queue, message: queue.complete(message),
    "abandon": lambda queue, message: queue.abandon(message),
    "dead_letter": lambda queue, message: queue.dead_letter(message, reason="late"),
    "renew": lambda queue, message: queue.renew(message),
}


@pytest.fixture(params=list(SETTLEMENTS))
def settle(request: pytest.FixtureRequest) -> Callable[[Queue, Received], Awaitable[object]]:
    return SETTLEMENTS[request.param]


async def test_a_late_worker_cannot_settle_a_message_that_another_has(
    bench: Bench, settle: Callable[[Queue, Received], Awaitable[object]]
) -> None:
    await bench.send(1)
    late = await bench.receive_one()
    await bench.elapse(LEASE + 1)
    holder = await bench.receive_one()

    with pytest.raises(LeaseLost, match="id-1"):
        await settle(bench.queue, late)

    await bench.queue.complete(holder)
    await bench.elapse(LEASE + 1)
    assert await bench.is_empty()
    assert await bench.queue.dead_letters() == []


async def test_a_late_settlement_fails_even_when_nobody_else_has_the_message(
    bench: Bench, settle: Callable[[Queue, Received], Awaitable[object]]
) -> None:
    await bench.send(1)
    late = await bench.receive_one()
    await bench.elapse(LEASE + 1)

    with pytest.raises(LeaseLost):
        await settle(bench.queue, late)

    assert (await bench.receive_one()).delivery_count == 1


@pytest.mark.parametrize("delay_seconds", [0, 10])
async def test_a_worker_that_gave_a_message_back_has_no_say_in_it_any_more(
    bench: Bench, settle: Callable[[Queue, Received], Awaitable[object]], delay_seconds: float
) -> None:
    await bench.send(1)
    message = await bench.receive_one()
    await bench.queue.abandon(message, delay_seconds=delay_seconds)

    with pytest.raises(LeaseLost):
        await settle(bench.queue, message)

    await bench.elapse(delay_seconds)
    assert (await bench.receive_one()).delivery_count == 1


async def test_renewing_keeps_the_message_as_long_as_it_takes(bench: Bench) -> None:
    await bench.send(1)
    message = await bench.receive_one()

    for _ in range(4):
        await bench.elapse(LEASE - 5)
        message = await bench.queue.renew(message)
        assert await bench.is_empty()

    await bench.queue.complete(message)
    await bench.elapse(LEASE + 1)
    assert await bench.is_empty()


async def test_an_abandoned_message_comes_again_at_once(bench: Bench) -> None:
    await bench.send(1, 2)
    await bench.queue.abandon(await bench.receive_one())

    again = await bench.receive_one()

    assert (again.id, again.delivery_count) == ("id-1", 1)


async def test_a_message_abandoned_with_a_delay_comes_after_it(bench: Bench) -> None:
    await bench.send(1)
    await bench.queue.abandon(await bench.receive_one(), delay_seconds=60.5)

    await bench.elapse(55)
    hidden = await bench.is_empty()
    await bench.elapse(6)

    assert hidden
    assert (await bench.receive_one()).delivery_count == 1


async def test_a_message_abandoned_too_often_is_dead_lettered(bench: Bench) -> None:
    await bench.send(1)
    for count in range(LIMITS.max_deliveries):
        message = await bench.receive_one()
        assert message.delivery_count == count
        comes_again = await bench.queue.abandon(message)
        assert comes_again == (count + 1 < LIMITS.max_deliveries)

    assert await bench.is_empty()
    [dead] = await bench.queue.dead_letters()
    assert (dead.body, dead.properties) == ({"n": 1}, {"runId": "r1"})
    assert dead.reason == MAX_DELIVERIES_EXCEEDED


async def test_a_message_whose_workers_all_died_is_dead_lettered(bench: Bench) -> None:
    await bench.send(1, 2)
    for _ in range(LIMITS.max_deliveries):
        message = await bench.receive_one()
        assert message.id == "id-1"
        await bench.elapse(LEASE + 1)

    assert (await bench.receive_one()).id == "id-2"
    [dead] = await bench.queue.dead_letters()
    assert (dead.body, dead.reason) == ({"n": 1}, MAX_DELIVERIES_EXCEEDED)


async def test_a_dead_letter_keeps_its_content_and_tells_its_reason(bench: Bench) -> None:
    await bench.send(1)
    message = await bench.receive_one()

    await bench.queue.dead_letter(message, reason="PoisonMessage", description="minPrice is missing")

    await bench.elapse(LEASE + 1)
    assert await bench.is_empty()
    [dead] = await bench.queue.dead_letters()
    assert (dead.body, dead.properties) == ({"n": 1}, {"runId": "r1"})
    assert (dead.reason, dead.description) == ("PoisonMessage", "minPrice is missing")


async def set_aside(bench: Bench, *numbers: int) -> None:
    await bench.send(*numbers)
    for _ in numbers:
        await bench.queue.dead_letter(await bench.receive_one(), reason="bad")


async def test_looking_at_dead_letters_changes_nothing_and_starts_with_the_oldest(bench: Bench) -> None:
    await set_aside(bench, 1, 2, 3)

    looks = [await bench.queue.dead_letters() for _ in range(5)]

    assert [dead.body["n"] for dead in looks[0]] == [1, 2, 3]
    assert all(look == looks[0] for look in looks)
    assert await bench.queue.dead_letters(limit=2) == looks[0][:2]


async def test_a_replayed_dead_letter_starts_anew(bench: Bench) -> None:
    await set_aside(bench, 1, 2)
    first, second = await bench.queue.dead_letters()

    assert await bench.queue.replay(second.id)

    again = await bench.receive_one()
    assert (again.id, again.body, again.properties) == ("id-2", {"n": 2}, {"runId": "r1"})
    assert again.delivery_count == 0
    assert [dead.id for dead in await bench.queue.dead_letters()] == [first.id]


async def test_a_dead_letter_is_replayed_once(bench: Bench) -> None:
    await set_aside(bench, 1)
    [dead] = await bench.queue.dead_letters()

    replayed = await asyncio.gather(*(bench.queue.replay(dead.id) for _ in range(3)))

    assert sorted(replayed) == [False, False, True]
    assert len(await bench.queue.receive(10, wait_seconds=0)) == 1


LONG_AGO, FAR_AHEAD = datetime(2020, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


async def test_only_dead_letters_that_are_old_enough_are_forgotten(bench: Bench) -> None:
    await set_aside(bench, 1, 2)
    await bench.send(3)

    assert await bench.queue.purge_dead_letters(LONG_AGO, limit=10) == 0
    assert len(await bench.queue.dead_letters()) == 2
    assert await bench.queue.purge_dead_letters(FAR_AHEAD, limit=10) == 2

    assert await bench.queue.dead_letters() == []
    assert (await bench.receive_one()).id == "id-3"


async def test_dead_letters_are_forgotten_some_at_a_time_the_oldest_first(bench: Bench) -> None:
    await set_aside(bench, 1, 2, 3)

    assert await bench.queue.purge_dead_letters(FAR_AHEAD, limit=2) == 2
    assert [dead.body["n"] for dead in await bench.queue.dead_letters()] == [3]
    assert await bench.queue.purge_dead_letters(FAR_AHEAD, limit=2) == 1
    assert await bench.queue.purge_dead_letters(FAR_AHEAD, limit=2) == 0


async def test_dead_letters_are_counted_by_their_age_and_stay(bench: Bench) -> None:
    await set_aside(bench, 1, 2)

    assert await bench.queue.count_dead_letters(LONG_AGO) == 0
    assert await bench.queue.count_dead_letters(FAR_AHEAD) == 2
    assert len(await bench.queue.dead_letters()) == 2


@pytest.mark.parametrize("unknown", ["999999", "no such id", "", "-1", "9" * 40])
async def test_replaying_what_is_not_there_says_so(bench: Bench, unknown: str) -> None:
    assert await bench.queue.replay(unknown) is False


async def test_a_message_sent_with_a_delay_comes_after_it(bench: Bench) -> None:
    await bench.send(1, delay_seconds=20.5)
    await bench.send(2)

    early = await bench.queue.receive(10, wait_seconds=0)
    await bench.elapse(21.5)
    late = await bench.receive_one()

    assert [message.id for message in early] == ["id-2"]
    assert (late.id, late.delivery_count) == ("id-1", 0)


async def test_competing_workers_get_each_message_once(bench: Bench) -> None:
    numbers = list(range(60))
    await bench.send(*numbers)

    async def work() -> list[int]:
        done: list[int] = []
        while messages := await bench.queue.receive(4, wait_seconds=0):
            for message in messages:
                await bench.queue.complete(message)
                done.append(message.body["n"])
        return done

    done = await asyncio.gather(*(work() for _ in range(3)))

    assert sorted(n for part in done for n in part) == numbers


async def test_an_empty_queue_is_waited_for_no_longer_than_asked(bench: Bench) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()

    assert await bench.queue.receive(1, wait_seconds=0.2) == []

    assert loop.time() - started < 5


async def test_a_receiver_that_is_cancelled_leaves_the_queue_in_order(bench: Bench) -> None:
    receiving = asyncio.create_task(bench.queue.receive(1, wait_seconds=3600))
    await asyncio.sleep(0)
    receiving.cancel()
    await asyncio.wait({receiving}, timeout=5)

    assert receiving.done()
    await bench.send(1)
    assert (await bench.receive_one()).id == "id-1"
