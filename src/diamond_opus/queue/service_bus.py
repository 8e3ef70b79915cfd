"""Queues in Azure Service Bus; how long a lease lasts and how often one may fail is set there, as in ``LIMITS``.

The bus drops a message whose id it saw within the last minutes. A deliberate re-send therefore never carries the id of
the one before: those who send wake-ups count them, and what is sent again here gets an id of its own.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import uuid4

import orjson
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender
from azure.servicebus.amqp import AmqpMessageBodyType
from azure.servicebus.exceptions import (
    MessageAlreadySettled,
    MessageLockLostError,
    MessageSizeExceededError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
)

from diamond_opus.domain.clock import Clock, SystemClock
from diamond_opus.domain.errors import Fatal, Retryable
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.redact import clean_text
from diamond_opus.queue.limits import MAX_DELIVERIES_EXCEEDED, QueueLimits, too_often
from diamond_opus.queue.protocol import DeadLetter, LeaseLost, Message, Received

#: For anything at all, waiting for others, tries and reconnecting included. The SDK by itself may wait for ever.
TURN_TIMEOUT_SECONDS = 20.0
#: For a settlement on the link that the message came by. Then another makes sure of it, where the SDK asks the bus.
SETTLE_TIMEOUT_SECONDS = 8.0
#: To look through all dead letters.
DEAD_LETTERS_TIMEOUT_SECONDS = 60.0
CLOSE_TIMEOUT_SECONDS = 1.0

#: One task at a time may use a receiver, so it lets go of it that often for those who settle what it received.
LONGEST_TURN_SECONDS = 0.25
LONGEST_IDLE_TURN_SECONDS = 10.0
#: What a message that is there needs to come, over a network.
SHORTEST_TURN_SECONDS = 0.1

_LARGEST_NUMBER = 2**63 - 1
#: What the bus keeps of a reason or a description.
_LONGEST_TEXT_BYTES = 4000

# Of a message that is sent again in place of another: what that one was called, and how often it was delivered.
_FIRST_ID = "diamondMessageId"
_DELIVERIES = "diamondDeliveries"
#: What nobody who sent the message put there: these, and what the bus itself adds to a dead letter.
_NOT_SENT = frozenset({_FIRST_ID, _DELIVERIES, "DeadLetterReason", "DeadLetterErrorDescription"})

log = get_logger(__name__)

End = TypeVar("End", ServiceBusSender, ServiceBusReceiver)


class ServiceBusQueue:
    """One queue. ``close`` ends its links; the client is the caller's.

    Errors: Retryable when the bus is out of reach or refuses us, Fatal when the queue does not exist there.
    """

    def __init__(
        self,
        client: ServiceBusClient,
        name: str,
        limits: QueueLimits,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._name = name
        self._limits = limits
        self._clock = clock or SystemClock()
        self._sender = _Link[ServiceBusSender](lambda: client.get_queue_sender(name))
        self._receiver = _Link[ServiceBusReceiver](lambda: client.get_queue_receiver(name))
        self._in_hand: set[int] = set()  # the numbers of messages that are not settled yet
        self._replaying = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._name

    async def send(self, messages: Sequence[Message], *, delay_seconds: float = 0) -> None:
        """In batches as big as the bus allows: when one fails, those before it were sent."""
        encoded = [
            ServiceBusMessage(
                orjson.dumps(dict(message.body)),
                content_type="application/json",
                message_id=message.id or str(uuid4()),
                application_properties=dict[Any, Any](message.properties),
            )
            for message in messages
        ]
        await self._send(encoded, due_at=self._due(delay_seconds))

    async def receive(self, limit: int = 1, *, wait_seconds: float = 1.0) -> Sequence[Received]:
        deadline = self._clock.monotonic() + wait_seconds
        has_failed = False
        while True:
            remaining = deadline - self._clock.monotonic()
            longest = LONGEST_TURN_SECONDS if self._in_hand else LONGEST_IDLE_TURN_SECONDS
            turn = max(min(remaining, longest), SHORTEST_TURN_SECONDS)
            try:
                found = await self._lease(limit, turn)
            except Retryable:
                # The bus cuts links off as it likes, and a turn is too short for the SDK to try again: the next is new.
                if has_failed:
                    raise
                has_failed = True
                continue
            if found or remaining <= turn:
                return found

    async def complete(self, message: Received) -> None:
        await self._settle(message, lambda receiver: receiver.complete_message(_token(message)))

    async def abandon(self, message: Received, *, delay_seconds: float = 0) -> bool:
        """The bus gives back at once only: for a delay a copy is scheduled, and the message completed."""
        if message.delivery_count + 1 >= self._limits.max_deliveries:
            deliveries = message.delivery_count + 1
            await self.dead_letter(message, reason=MAX_DELIVERIES_EXCEEDED, description=too_often(deliveries))
            return False
        if delay_seconds:
            # Renewing proves that it is still ours: the copy of another's message would be one too many.
            renewed = await self.renew(message)
            again = _sent_again(_token(renewed), deliveries=message.delivery_count + 1)
            await self._send([again], due_at=self._due(delay_seconds))
            await self.complete(renewed)
        else:
            await self._settle(message, lambda receiver: receiver.abandon_message(_token(message)))
        return True

    async def dead_letter(self, message: Received, *, reason: str, description: str = "") -> None:
        await self._settle(
            message,
            lambda receiver: receiver.dead_letter_message(
                _token(message),
                reason=clean_text(reason, limit_bytes=_LONGEST_TEXT_BYTES),
                error_description=clean_text(description, limit_bytes=_LONGEST_TEXT_BYTES),
            ),
        )

    async def renew(self, message: Received) -> Received:
        leased_until = self._clock.now() + timedelta(seconds=self._limits.lease_seconds)
        async with self._use_receiver(message) as receiver:
            await receiver.renew_message_lock(_token(message))
        return replace(message, leased_until=leased_until)

    async def dead_letters(self, limit: int = 100) -> Sequence[DeadLetter]:
        async with self._open_dead_letters() as receiver:
            return [_dead_letter(message) async for message in _look_through(receiver, limit)]

    async def replay(self, dead_letter_id: str) -> bool:
        """The bus hands out dead letters in its own order: those before the one that is meant are given back."""
        number = int(dead_letter_id) if dead_letter_id.isdecimal() else -1
        if not 0 <= number <= _LARGEST_NUMBER:
            return False
        async with self._replaying, self._open_dead_letters() as receiver:
            shown = await receiver.peek_messages(1, sequence_number=number)
            if not shown or shown[0].sequence_number != number:
                return False
            passed: list[ServiceBusReceivedMessage] = []
            try:
                while messages := await receiver.receive_messages(20, max_wait_time=1):
                    passed += messages
                    for message in messages:
                        if message.sequence_number == number:
                            await self._send([_sent_again(message, deliveries=0)])
                            await receiver.complete_message(message)
                            passed.remove(message)
                            return True
                raise Retryable(
                    f"{self._name}: dead letter {number} is in somebody else's hands; try again later"
                )
            finally:
                await _give_back(receiver, passed)

    async def count_dead_letters(self, before: datetime) -> int:
        """The bus knows when a message was sent."""
        async with self._open_dead_letters() as receiver:
            return sum([_sent_at(message) < before async for message in _look_through(receiver)])

    async def purge_dead_letters(self, before: datetime, *, limit: int) -> int:
        """The bus keeps a dead letter for ever. Ends where none is old enough."""
        purged = 0
        passed: list[ServiceBusReceivedMessage] = []
        async with self._replaying, self._open_dead_letters() as receiver:
            try:
                while purged < limit:
                    messages = await receiver.receive_messages(min(20, limit - purged), max_wait_time=1)
                    old = [message for message in messages if _sent_at(message) < before]
                    passed += [message for message in messages if message not in old]
                    for message in old:
                        await receiver.complete_message(message)
                    purged += len(old)
                    if not old:
                        break
            finally:
                await _give_back(receiver, passed)
        return purged

    async def close(self) -> None:
        """Does not wait for those who are at it: what they have in hand comes again."""
        await asyncio.gather(self._sender.close(), self._receiver.close())

    def _due(self, delay_seconds: float) -> datetime | None:
        return self._clock.now() + timedelta(seconds=delay_seconds) if delay_seconds else None

    async def _send(self, messages: Sequence[ServiceBusMessage], *, due_at: datetime | None = None) -> None:
        if not messages:
            return
        with _told(self._name):
            async with self._sender.use(TURN_TIMEOUT_SECONDS) as sender:
                batch = await sender.create_message_batch()
                for message in messages:
                    message.scheduled_enqueue_time_utc = due_at
                    try:
                        batch.add_message(message)
                    except MessageSizeExceededError:
                        if len(batch) == 0:
                            raise
                        await sender.send_messages(batch, timeout=TURN_TIMEOUT_SECONDS)
                        batch = await sender.create_message_batch()
                        batch.add_message(message)
                await sender.send_messages(batch, timeout=TURN_TIMEOUT_SECONDS)

    async def _lease(self, limit: int, wait_seconds: float) -> list[Received]:
        """What came within the time, less what was delivered too often: the bus does not count what was sent again."""
        leased_until = self._clock.now() + timedelta(seconds=self._limits.lease_seconds)
        async with self._use_receiver() as receiver:
            messages = await receiver.receive_messages(limit, max_wait_time=wait_seconds)
        self._in_hand.update(message.sequence_number or 0 for message in messages)
        received = [_received(message, leased_until) for message in messages]
        for message in received:
            if message.delivery_count >= self._limits.max_deliveries:
                try:
                    description = too_often(message.delivery_count)
                    await self.dead_letter(message, reason=MAX_DELIVERIES_EXCEEDED, description=description)
                except (LeaseLost, Retryable) as error:  # it comes again, and is no reason to lose the others
                    log.warning("message_not_set_aside", message_id=message.id, reason=str(error))
        return [message for message in received if message.delivery_count < self._limits.max_deliveries]

    @asynccontextmanager
    async def _use_receiver(
        self, message: Received | None = None, *, seconds: float | None = None
    ) -> AsyncIterator[ServiceBusReceiver]:
        with _told(self._name, message):
            async with self._receiver.use(seconds or TURN_TIMEOUT_SECONDS) as receiver:
                yield receiver

    async def _settle(self, message: Received, how: Callable[[ServiceBusReceiver], Awaitable[None]]) -> None:
        """A settlement that the bus does not confirm, or whose link was cut, is made once more by a new link."""
        self._in_hand.discard(_token(message).sequence_number or 0)
        try:
            async with self._use_receiver(message, seconds=SETTLE_TIMEOUT_SECONDS) as receiver:
                await how(receiver)
        except Retryable:
            async with self._use_receiver(message) as receiver:
                await how(receiver)

    @asynccontextmanager
    async def _open_dead_letters(self) -> AsyncIterator[ServiceBusReceiver]:
        with _told(self._name):
            async with (
                asyncio.timeout(DEAD_LETTERS_TIMEOUT_SECONDS),
                self._client.get_queue_receiver(
                    self._name, sub_queue=ServiceBusSubQueue.DEAD_LETTER
                ) as receiver,
            ):
                yield receiver


class _Link(Generic[End]):
    """A sender or a receiver: opened when it is needed, used by one task at a time, thrown away when it failed.

    What another one received is settled all the same: a link does not know its tag, and the SDK asks the bus, which
    knows a message by its lock.
    """

    def __init__(self, make: Callable[[], End]) -> None:
        self._make: Callable[[], End] = make
        self._end: End | None = None
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def use(self, seconds: float) -> AsyncIterator[End]:
        """Waiting for those before is a part of the time."""
        async with asyncio.timeout(seconds), self._turn:
            if self._end is None:
                self._end = self._make()
            try:
                yield await self._end.__aenter__()
            except (MessageLockLostError, MessageAlreadySettled, MessageSizeExceededError):
                raise
            except BaseException:  # cancelled in the middle of a frame, too
                await self._drop()
                raise

    async def close(self) -> None:
        await self._drop()

    async def _drop(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            with suppress(TimeoutError):  # a bus that is gone answers no farewell
                await asyncio.wait_for(end.close(), CLOSE_TIMEOUT_SECONDS)


@contextmanager
def _told(queue: str, message: Received | None = None) -> Iterator[None]:
    """The SDK's errors in the queue's terms."""
    try:
        yield
    except (MessageLockLostError, MessageAlreadySettled) as error:
        which = f"message {message.id}" if message else "a message"
        raise LeaseLost(f"{queue}: the lease of {which} ran out; nothing was changed") from error
    except MessageSizeExceededError as error:
        raise Fatal(f"{queue}: a message is larger than the bus takes: {error}") from error
    except (MessagingEntityNotFoundError, MessagingEntityDisabledError) as error:
        raise Fatal(
            f"{queue}: there is no such queue in the Service Bus namespace, or it is switched off; create it with"
            f" infrastructure/terraform: {error}"
        ) from error
    except (ServiceBusAuthenticationError, ServiceBusAuthorizationError, ClientAuthenticationError) as error:
        # Not for good: roles take minutes to be known everywhere, and a key may just have been rotated.
        raise Retryable(
            f"{queue}: Service Bus refuses this process; check its connection string, or that its identity has the"
            f" roles Azure Service Bus Data Sender and Data Receiver: {error}"
        ) from error
    except (AzureError, OSError) as error:
        raise Retryable(
            f"{queue}: Service Bus is out of reach: {str(error) or type(error).__name__}"
        ) from error


def _received(message: ServiceBusReceivedMessage, leased_until: datetime) -> Received:
    properties = _properties_of(message)
    deliveries = properties.get(_DELIVERIES, "")
    return Received(
        _id_of(message),
        _body_of(message),
        _sent(properties),
        (message.delivery_count or 0) + (int(deliveries) if deliveries.isdecimal() else 0),
        leased_until,
        message,
    )


async def _look_through(
    receiver: ServiceBusReceiver, limit: int = sys.maxsize
) -> AsyncIterator[ServiceBusReceivedMessage]:
    """Up to so many, oldest first, without taking them. The bus shows no more than some 250 at once."""
    seen = after = 0
    while seen < limit:
        messages = await receiver.peek_messages(min(limit - seen, 250), sequence_number=after + 1)
        if not messages:
            return
        for message in messages:
            yield message
        seen += len(messages)
        after = messages[-1].sequence_number or after


async def _give_back(receiver: ServiceBusReceiver, messages: Sequence[ServiceBusReceivedMessage]) -> None:
    for message in messages:
        with suppress(AzureError, MessageAlreadySettled):  # its lock may have ended meanwhile
            await receiver.abandon_message(message)


def _sent_at(message: ServiceBusReceivedMessage) -> datetime:
    """In the future for a message whose time the bus does not tell: it is not known to be old."""
    return message.enqueued_time_utc or datetime.max.replace(tzinfo=UTC)


def _dead_letter(message: ServiceBusReceivedMessage) -> DeadLetter:
    received = _received(message, datetime.max.replace(tzinfo=UTC))
    return DeadLetter(
        str(message.sequence_number),
        received.body,
        received.properties,
        message.dead_letter_reason or "",
        message.dead_letter_error_description or "",
    )


def _sent_again(message: ServiceBusReceivedMessage, *, deliveries: int) -> ServiceBusMessage:
    """A copy under an id of its own, or the bus would drop it for a double."""
    return ServiceBusMessage(
        _content_of(message),
        content_type=message.content_type,
        message_id=str(uuid4()),
        application_properties={
            **_sent(_properties_of(message)),
            _FIRST_ID: _id_of(message),
            _DELIVERIES: str(deliveries),
        },
    )


def _properties_of(message: ServiceBusReceivedMessage) -> Mapping[str, str]:
    """As texts; the SDK gives bytes, and another program may have sent numbers."""
    given = message.application_properties or {}
    return {_text(name): _text(value) for name, value in given.items()}


def _sent(properties: Mapping[str, str]) -> dict[Any, Any]:
    return {name: value for name, value in properties.items() if name not in _NOT_SENT}


def _id_of(message: ServiceBusReceivedMessage) -> str:
    return _properties_of(message).get(_FIRST_ID) or message.message_id or str(message.sequence_number)


def _body_of(message: ServiceBusReceivedMessage) -> Any:
    """The JSON value, or the text of what is none: whoever reads the message tells what is wrong with it."""
    content = _content_of(message)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace")


def _content_of(message: ServiceBusReceivedMessage) -> bytes:
    """Its bytes; of a body that is none, as other programs may send, a text that shows what it is."""
    if message.body_type is AmqpMessageBodyType.DATA:
        return b"".join(message.body)
    return repr(message.body).encode()


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _token(message: Received) -> ServiceBusReceivedMessage:
    if not isinstance(message.token, ServiceBusReceivedMessage):
        raise TypeError(f"message {message.id} was received from another transport")
    return message.token
