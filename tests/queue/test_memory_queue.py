"""What the queue within one process adds to the contract: it wakes whoever waits and keeps its own copies."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from diamond_opus.domain.clock import ManualClock
from diamond_opus.queue.limits import LIMITS, QueueLimits
from diamond_opus.queue.memory import MemoryQueue
from diamond_opus.queue.protocol import QUEUES, WORK_ITEMS, Message

LONG = 60.0
SOON = 5.0


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue(WORK_ITEMS, QueueLimits(lease_seconds=30, max_deliveries=3))


def test_every_queue_has_limits() -> None:
    assert set(LIMITS) == set(QUEUES)


async def test_a_waiting_receiver_gets_a_message_as_soon_as_it_is_sent(queue: MemoryQueue) -> None:
    receiving = asyncio.create_task(queue.receive(1, wait_seconds=LONG))
    await asyncio.sleep(0)
    await queue.send([Message({}, "m1")])

    [message] = await asyncio.wait_for(receiving, SOON)

    assert message.id == "m1"


async def test_every_waiting_receiver_is_woken(queue: MemoryQueue) -> None:
    receiving = [asyncio.create_task(queue.receive(1, wait_seconds=LONG)) for _ in range(3)]
    await asyncio.sleep(0)
    await queue.send([Message({}, f"m{n}") for n in range(3)])

    received = await asyncio.wait_for(asyncio.gather(*receiving), SOON)

    assert sorted(message.id for [message] in received) == ["m0", "m1", "m2"]


async def test_a_waiting_receiver_gets_a_delayed_message_when_its_delay_ends(queue: MemoryQueue) -> None:
    await queue.send([Message({}, "m1")], delay_seconds=0.05)

    [message] = await asyncio.wait_for(queue.receive(1, wait_seconds=LONG), SOON)

    assert message.id == "m1"


async def test_a_message_given_back_wakes_a_waiting_receiver(queue: MemoryQueue) -> None:
    await queue.send([Message({}, "m1")])
    [message] = await queue.receive(1)
    receiving = asyncio.create_task(queue.receive(1, wait_seconds=LONG))
    await asyncio.sleep(0)
    await queue.abandon(message)

    [again] = await asyncio.wait_for(receiving, SOON)

    assert again.delivery_count == 1


class StoppedClock(ManualClock):
    """Nobody who sleeps ever wakes; counts who tried."""

    def __init__(self) -> None:
        super().__init__(datetime(2026, 1, 1, tzinfo=UTC))
        self.sleepers = 0

    async def sleep(self, seconds: float) -> None:
        self.sleepers += 1
        await asyncio.Event().wait()


async def test_a_waiting_receiver_sleeps_and_does_not_spin() -> None:
    clock = StoppedClock()
    queue = MemoryQueue(WORK_ITEMS, LIMITS[WORK_ITEMS], clock=clock)
    await queue.send([Message({})])
    [_held] = await queue.receive()
    receiving = asyncio.create_task(queue.receive(1, wait_seconds=LONG))
    for _ in range(50):
        await asyncio.sleep(0)

    assert clock.sleepers == 1
    receiving.cancel()


async def test_what_others_do_to_a_body_does_not_change_the_message(queue: MemoryQueue) -> None:
    body: dict[str, Any] = {"list": [1]}
    await queue.send([Message(body, "m1")])
    body["list"].append(2)
    [first] = await queue.receive(1)
    first.body["list"].append(3)
    await queue.abandon(first)

    [again] = await queue.receive(1)

    assert again.body == {"list": [1]}


async def test_a_body_that_no_transport_could_carry_is_refused_when_sent(queue: MemoryQueue) -> None:
    with pytest.raises(TypeError):
        await queue.send([Message({"odd": object()})])
