"""What a queue in Service Bus does beyond the contract: its limits, its failures, and the traps of its SDK."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from consumer_bench import CountedRenewals

from diamond_opus import azure
from diamond_opus.domain.clock import SystemClock
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.queue.consumer import consume
from diamond_opus.queue.limits import MAX_DELIVERIES_EXCEEDED, QueueLimits
from diamond_opus.queue.messages import PoisonMessage, WorkItem
from diamond_opus.queue.protocol import WORK_ITEMS, Message, Received
from diamond_opus.settings import load_settings

service_bus = pytest.importorskip("service_bus")

from azure.servicebus import ServiceBusMessage  # noqa: E402 - only with the extra azure
from azure.servicebus.amqp import AmqpAnnotatedMessage  # noqa: E402

from diamond_opus.queue.service_bus import ServiceBusQueue  # noqa: E402

LIMITS = QueueLimits(lease_seconds=30, max_deliveries=3)
EMULATOR = "UseDevelopmentEmulator=true;"  # on loopback, without TLS


@dataclass(frozen=True)
class Bus:
    queue: ServiceBusQueue
    broker: Any

    async def send(self, *numbers: int, size: int = 0) -> None:
        await self.queue.send([Message({"n": n, "text": "x" * size}, f"id-{n}") for n in numbers])

    async def receive_one(self) -> Received:
        [message] = await self.queue.receive(1, wait_seconds=5)
        return message

    def waiting(self) -> int:
        counts = self.broker.counts(WORK_ITEMS)
        return int(counts.active + counts.scheduled)


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    async with service_bus.open_queue(WORK_ITEMS, LIMITS) as (queue, broker):
        yield Bus(queue, broker)


async def test_messages_that_are_more_than_the_bus_takes_at_once_all_arrive(bus: Bus) -> None:
    """256 KB are the most of a batch; the system before this one lost what was over."""
    await bus.send(*range(60), size=20_000)

    arrived: set[int] = set()
    while messages := await bus.queue.receive(20, wait_seconds=1):
        for message in messages:
            arrived.add(message.body["n"])
            await bus.queue.complete(message)
    assert arrived == set(range(60))


async def test_a_message_larger_than_any_is_refused_and_the_queue_goes_on(bus: Bus) -> None:
    with pytest.raises(Fatal, match="larger than the bus takes"):
        await bus.send(1, size=300_000)

    await bus.send(2)
    assert (await bus.receive_one()).id == "id-2"


async def test_a_message_sent_twice_under_one_id_comes_once(bus: Bus) -> None:
    await bus.send(1)
    await bus.send(1)
    await bus.send(2)

    assert [m.id for m in await bus.queue.receive(10, wait_seconds=1)] == ["id-1", "id-2"]


async def test_deliveries_are_counted_over_delays_which_the_bus_does_not_know(bus: Bus) -> None:
    """A delay is a copy under another id, whose count the bus begins anew."""
    await bus.send(1)
    for count in range(LIMITS.max_deliveries):
        message = await bus.receive_one()
        assert (message.id, message.delivery_count, message.properties) == ("id-1", count, {})
        await bus.queue.abandon(message, delay_seconds=60)
        await asyncio.to_thread(bus.broker.advance, 61)

    assert bus.waiting() == 0
    [dead] = await bus.queue.dead_letters()
    assert (dead.body["n"], dead.reason) == (1, MAX_DELIVERIES_EXCEEDED)


async def test_copies_whose_workers_died_are_set_aside_too(bus: Bus) -> None:
    await bus.send(1)
    await bus.queue.abandon(await bus.receive_one(), delay_seconds=60)
    await asyncio.to_thread(bus.broker.advance, 61)
    for _ in range(LIMITS.max_deliveries - 1):
        await bus.receive_one()
        await asyncio.to_thread(bus.broker.advance, LIMITS.lease_seconds + 1)

    assert await bus.queue.receive(1, wait_seconds=0.5) == []
    [dead] = await bus.queue.dead_letters()
    assert dead.reason == MAX_DELIVERIES_EXCEEDED


async def test_a_connection_lost_in_mid_work_costs_nothing(bus: Bus) -> None:
    await bus.send(1, 2)
    first = await bus.receive_one()
    assert await asyncio.to_thread(bus.broker.drop_connections) > 0

    await bus.send(3)
    await bus.queue.complete(first)
    second = await bus.receive_one()
    await bus.queue.complete(await bus.queue.renew(second))

    assert [m.id for m in await bus.queue.receive(10, wait_seconds=1)] == ["id-3"]
    assert bus.waiting() == 1


async def test_links_that_the_bus_detaches_come_back(bus: Bus) -> None:
    await bus.send(1)
    assert await bus.queue.receive(1, wait_seconds=1)
    assert await asyncio.to_thread(bus.broker.detach_links) > 0

    await bus.send(2)

    assert (await bus.receive_one()).id == "id-2"


async def test_a_busy_bus_is_asked_again_and_then_told(bus: Bus) -> None:
    bus.broker.faults.reject_sends = [("server-busy", "slow down")]
    await bus.send(1)
    assert (await bus.receive_one()).id == "id-1"

    bus.broker.faults.reject_sends = [("server-busy", "slow down")] * 50
    with pytest.raises(Retryable, match=r"work-items: Service Bus is out of reach: .*slow down"):
        await bus.send(2)


async def test_a_refused_token_is_told_and_asked_for_again(bus: Bus) -> None:
    """Roles take minutes to be known everywhere, and keys are rotated: nobody has to restart for that."""
    bus.broker.faults.refuse_tokens = 50
    with pytest.raises(Retryable, match="refuses this process; check its connection string"):
        await bus.send(1)

    bus.broker.faults.refuse_tokens = 0
    await bus.send(1)
    assert (await bus.receive_one()).id == "id-1"


async def test_a_queue_that_nobody_made_is_told_with_the_remedy(bus: Bus) -> None:
    async with service_bus.open_client(bus.broker.connection_string) as client:
        missing = ServiceBusQueue(client, "nowhere", LIMITS)
        with pytest.raises(Fatal, match=r"nowhere: there is no such queue .*infrastructure/terraform"):
            await missing.send([Message({})])
        with pytest.raises(Fatal, match="there is no such queue"):
            await missing.receive(1)
        await missing.close()


async def test_a_bus_that_is_away_is_told_as_out_of_reach() -> None:
    nobody = f"Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0;{EMULATOR}"
    async with service_bus.open_client(nobody) as client:
        queue = ServiceBusQueue(client, WORK_ITEMS, LIMITS)
        with pytest.raises(Retryable, match="work-items: Service Bus is out of reach"):
            await queue.send([Message({})])
        with pytest.raises(Retryable, match="work-items: Service Bus is out of reach"):
            await queue.receive(1)
        await queue.close()


async def test_a_bus_that_accepts_and_says_nothing_is_waited_for_no_longer_than_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a limit of ours the SDK waits for the answer to a send for ever."""
    monkeypatch.setattr("diamond_opus.queue.service_bus.TURN_TIMEOUT_SECONDS", 0.5)
    async with silent_bus() as address, service_bus.open_client(address) as client:
        queue = ServiceBusQueue(client, WORK_ITEMS, LIMITS)
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(
            *(queue.send([Message({})]) for _ in range(40)), return_exceptions=True
        )
        assert all(isinstance(answer, Retryable) for answer in answers)
        # One after the other they would wait for 20 s.
        assert asyncio.get_running_loop().time() - started < 15, (
            "those who wait for others do not wait on top"
        )
        await queue.close()


async def test_a_process_that_stops_does_not_wait_for_a_bus_that_says_nothing() -> None:
    async with silent_bus() as address:
        settings = load_settings(azure_service_bus_connection_string=address)
        started = asyncio.get_running_loop().time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            async with azure.open_queues(settings, (WORK_ITEMS,), SystemClock()) as queues:
                stop = asyncio.Event()
                consuming = asyncio.create_task(consume(queues[WORK_ITEMS], never_called, stop=stop))
                await asyncio.sleep(0.5)
                stop.set()
                await consuming
            gc.collect()
        assert asyncio.get_running_loop().time() - started < 9


async def test_a_settlement_that_is_not_confirmed_is_made_sure_of(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older SDKs took silence for a yes, and the message came again; this one waits for a minute by itself."""
    monkeypatch.setattr("diamond_opus.queue.service_bus.SETTLE_TIMEOUT_SECONDS", 0.5)
    await bus.send(1)
    message = await bus.receive_one()
    bus.broker.faults.ignore_settlements = 1

    await bus.queue.complete(message)

    assert bus.waiting() == 0


@asynccontextmanager
async def silent_bus() -> AsyncIterator[str]:
    """The connection string of a server that takes connections and never says a word."""
    heard: list[asyncio.StreamWriter] = []

    async def keep_silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(writer)

    async with await asyncio.start_server(keep_silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0;{EMULATOR}"
        for writer in heard:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
    assert heard


async def never_called(_message: Received) -> None:
    raise AssertionError


async def send_as_another_program(bus: Bus, body: bytes, **properties: Any) -> None:
    async with (
        service_bus.open_client(bus.broker.connection_string) as client,
        client.get_queue_sender(WORK_ITEMS) as sender,
    ):
        await sender.send_messages(ServiceBusMessage(body, application_properties=dict[Any, Any](properties)))


async def test_what_another_program_sent_is_read_as_far_as_it_can_be(bus: Bus) -> None:
    await send_as_another_program(bus, b'{"type": "WORK_ITEM"}', number=7, truth=True)

    message = await bus.receive_one()

    assert message.properties == {"number": "7", "truth": "True"}
    assert message.id


async def test_what_is_no_json_is_poison_and_not_a_crash(bus: Bus) -> None:
    await send_as_another_program(bus, b"\xff not json")

    with pytest.raises(PoisonMessage, match="expected a JSON object"):
        WorkItem.from_received(await bus.receive_one())


async def test_a_body_that_is_no_bytes_is_poison_and_does_not_hide_other_dead_letters(bus: Bus) -> None:
    async with (
        service_bus.open_client(bus.broker.connection_string) as client,
        client.get_queue_sender(WORK_ITEMS) as sender,
    ):
        await sender.send_messages(AmqpAnnotatedMessage(value_body={"a": 1}))
    await bus.send(1)

    odd, other = await bus.queue.receive(2, wait_seconds=5)
    with pytest.raises(PoisonMessage, match="expected a JSON object"):
        WorkItem.from_received(odd)
    for message in (odd, other):
        await bus.queue.dead_letter(message, reason="bad")

    first, second = await bus.queue.dead_letters()
    assert second.body["n"] == 1
    assert await bus.queue.replay(first.id)


async def test_a_reason_longer_than_the_bus_keeps_is_cut(bus: Bus) -> None:
    await bus.send(1)
    await bus.queue.dead_letter(await bus.receive_one(), reason="Fatal", description="é" * 100_000)

    [dead] = await bus.queue.dead_letters()
    assert 1_000 < len(dead.description.encode()) <= 4_000


async def test_a_dead_letter_behind_others_is_replayed_and_they_stay(bus: Bus) -> None:
    await bus.send(*range(50))
    while messages := await bus.queue.receive(50, wait_seconds=1):
        for message in messages:
            await bus.queue.dead_letter(message, reason="bad")
    dead = await bus.queue.dead_letters()

    assert await bus.queue.replay(dead[45].id)

    assert (await bus.receive_one()).id == "id-45"
    assert {left.id for left in await bus.queue.dead_letters()} == {one.id for one in dead} - {dead[45].id}
    assert await bus.queue.replay(dead[2].id), "it is not locked by the search for the other"


class HastyClock(SystemClock):
    """Renews each tenth of a second what is due each ten seconds."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 100)


async def test_a_consumer_handles_each_message_once_and_renews_what_takes_long(bus: Bus) -> None:
    """The receiver and its settlements share a link that only one task may use at a time."""
    handled: list[int] = []
    queue = CountedRenewals(bus.queue)
    await bus.send(*range(40))

    async def handle(message: Received) -> None:
        if message.body["n"] == 0:
            for _ in range(4):
                renewed = await queue.renewed.get()
                assert renewed.id == message.id
            assert renewed.leased_until > message.leased_until
        handled.append(message.body["n"])

    tally = await consume(
        queue, handle, stop=asyncio.Event(), concurrency=8, until_idle=True, clock=HastyClock()
    )

    assert sorted(handled) == list(range(40))
    assert (tally.completed, tally.unsettled) == (40, 0)
    assert bus.broker.counts(WORK_ITEMS).active == 0
