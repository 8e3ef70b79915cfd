"""The queue semantics of Azure Service Bus, without any protocol: pure, with a settable clock."""

from __future__ import annotations

import enum
import heapq
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from proton import Message, symbol, timestamp

from . import sections

DEAD_LETTER_SUFFIX = "/$deadletterqueue"


class State(enum.IntEnum):
    """x-opt-message-state; LOCKED is ours (Service Bus shows a locked message as active)."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2
    LOCKED = 3


class Settlement(enum.Enum):
    COMPLETE = "completed"
    ABANDON = "abandoned"
    DEFER = "defered"  # the service spells it so
    DEAD_LETTER = "suspended"
    RELEASE = "released"


class Clock:
    """Wall time plus an offset a test can move, so a five-minute lock need not be waited for."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return time.time() + self.offset


@dataclass
class QueueOptions:
    lock_duration: float = 30.0
    max_delivery_count: int = 10
    default_ttl: float | None = None
    dead_letter_on_expiry: bool = False
    duplicate_window: float | None = None  # seconds; None: no duplicate detection
    max_message_size: int = 256 * 1024


@dataclass
class BrokerMessage:
    sequence_number: int
    sections: list[sections.Section]
    enqueued_at: float
    message_id: str | None
    annotations: dict[str, object]
    expires_at: float | None
    state: State = State.ACTIVE
    deferred: bool = False
    delivery_count: int = 0
    scheduled_for: float | None = None
    lock_token: uuid.UUID | None = None
    locked_until: float | None = None
    ttl_ms: int | None = None

    def encode(self) -> bytes:
        head: Any = Message()
        annotations: dict[object, object] = {symbol(k): v for k, v in self.annotations.items()}
        annotations[symbol("x-opt-enqueued-time")] = timestamp(int(self.enqueued_at * 1000))
        annotations[symbol("x-opt-sequence-number")] = self.sequence_number
        state = (
            State.DEFERRED if self.deferred else State.ACTIVE if self.state is State.LOCKED else self.state
        )
        annotations[symbol("x-opt-message-state")] = int(state)
        if self.scheduled_for is not None:
            annotations[symbol("x-opt-scheduled-enqueue-time")] = timestamp(int(self.scheduled_for * 1000))
        if self.locked_until is not None:
            annotations[symbol("x-opt-locked-until")] = timestamp(int(self.locked_until * 1000))
        head.annotations = annotations
        ours = [s for s in sections.split(head.encode()) if s[0] == sections.MESSAGE_ANNOTATIONS]
        ours.append(sections.header(self.delivery_count, self.ttl_ms))
        return sections.join(ours + self.sections)


class LockLost(Exception):
    pass


class NotFound(Exception):
    pass


@dataclass
class Counts:
    active: int = 0  # a locked message counts as active, as in Azure
    scheduled: int = 0
    dead_letter: int = 0


@dataclass
class Queue:
    name: str
    clock: Clock
    options: QueueOptions
    dead_letter: Queue | None = None
    sequence: Iterator[int] = field(default_factory=lambda: iter(range(1, 2**62)))
    _messages: dict[int, BrokerMessage] = field(default_factory=dict)
    _ready: list[int] = field(default_factory=list)
    _by_token: dict[uuid.UUID, int] = field(default_factory=dict)
    _seen_ids: dict[str, float] = field(default_factory=dict)
    _due: list[tuple[float, int]] = field(default_factory=list)  # when to look at a message again
    on_ready: Callable[[Queue], None] = lambda _queue: None
    taken_in: int = 0  # messages that were sent to it, doubles left out

    # -- in -------------------------------------------------------------------------------
    def enqueue(self, encoded: bytes, *, scheduled_for: float | None = None) -> BrokerMessage | None:
        """Stores one message; None if duplicate detection dropped it."""
        message = Message()
        parts = [
            s for s in sections.split(encoded) if s[0] not in (sections.HEADER, sections.MESSAGE_ANNOTATIONS)
        ]
        head = [s for s in sections.split(encoded) if s[0] <= sections.PROPERTIES]
        message.decode(sections.join(head) if head else b"")
        annotations = {str(k): v for k, v in (message.annotations or {}).items()}
        if scheduled_for is None and (at := annotations.get("x-opt-scheduled-enqueue-time")) is not None:
            scheduled_for = int(at) / 1000
        for key in ("x-opt-scheduled-enqueue-time", "x-opt-message-state"):
            annotations.pop(key, None)
        now = self.clock.now()
        message_id = None if message.id is None else str(message.id)
        if self.options.duplicate_window and message_id is not None:
            self._seen_ids = {
                k: t for k, t in self._seen_ids.items() if t > now - self.options.duplicate_window
            }
            if message_id in self._seen_ids:
                return None
            self._seen_ids[message_id] = now
        ttl = message.ttl or None
        if self.options.default_ttl is not None:
            ttl = min(ttl or self.options.default_ttl, self.options.default_ttl)
        later = scheduled_for is not None and scheduled_for > now
        stored = BrokerMessage(
            sequence_number=next(self.sequence),
            sections=parts,
            enqueued_at=now,
            message_id=message_id,
            annotations=annotations,
            expires_at=None if ttl is None else (scheduled_for if later and scheduled_for else now) + ttl,
            state=State.SCHEDULED if later else State.ACTIVE,
            scheduled_for=scheduled_for if later else None,
            ttl_ms=None if not message.ttl else int(message.ttl * 1000),
        )
        self._put(stored)
        self.taken_in += 1
        return stored

    def _put(self, message: BrokerMessage) -> None:
        self._messages[message.sequence_number] = message
        if message.scheduled_for is not None and message.state is State.SCHEDULED:
            self._look_again(message, message.scheduled_for)
        elif message.expires_at is not None:
            self._look_again(message, message.expires_at)
        if message.state is State.ACTIVE:
            heapq.heappush(self._ready, message.sequence_number)
            self.on_ready(self)

    def cancel_scheduled(self, sequence_numbers: list[int]) -> None:
        for number in sequence_numbers:
            message = self._messages.get(number)
            if message is None or message.state is not State.SCHEDULED:
                raise NotFound(number)
        for number in sequence_numbers:
            del self._messages[number]

    # -- out ------------------------------------------------------------------------------
    def take(self, *, lock: bool) -> BrokerMessage | None:
        """The next ready message, locked (or removed, if lock is False)."""
        self.tick()
        while self._ready:
            message = self._messages.get(heapq.heappop(self._ready))
            if message is None or message.state is not State.ACTIVE:
                continue
            if lock:
                self._lock(message)
            else:
                del self._messages[message.sequence_number]
            return message
        return None

    def take_deferred(self, sequence_numbers: list[int], *, lock: bool) -> list[BrokerMessage]:
        found = []
        for number in sequence_numbers:
            message = self._messages.get(number)
            if message is None or message.state is not State.DEFERRED:
                raise NotFound(number)
            found.append(message)
        for message in found:
            if lock:
                self._lock(message)
            else:
                del self._messages[message.sequence_number]
        return found

    def peek(self, from_sequence: int, count: int) -> list[BrokerMessage]:
        self.tick()
        return [m for n, m in sorted(self._messages.items()) if n >= from_sequence][:count]

    def _lock(self, message: BrokerMessage) -> None:
        message.state = State.LOCKED
        message.lock_token = uuid.uuid4()
        message.locked_until = self.clock.now() + self.options.lock_duration
        self._by_token[message.lock_token] = message.sequence_number
        self._look_again(message, message.locked_until)

    def _look_again(self, message: BrokerMessage, at: float) -> None:
        heapq.heappush(self._due, (at, message.sequence_number))

    def _locked(self, token: uuid.UUID) -> BrokerMessage:
        self.tick()
        message = self._messages.get(self._by_token.get(token, -1))
        if message is None or message.state is not State.LOCKED or message.lock_token != token:
            raise LockLost(token)
        return message

    def renew(self, token: uuid.UUID) -> float:
        message = self._locked(token)
        message.locked_until = self.clock.now() + self.options.lock_duration
        self._look_again(message, message.locked_until)
        return message.locked_until

    def settle(
        self, token: uuid.UUID, how: Settlement, reason: str | None = None, description: str | None = None
    ) -> None:
        message = self._locked(token)
        self._unlock(message)
        if how is Settlement.COMPLETE:
            del self._messages[message.sequence_number]
        elif how is Settlement.DEFER:
            message.deferred, message.state = True, State.DEFERRED
            message.delivery_count += 1
        elif how is Settlement.DEAD_LETTER:
            self._to_dead_letter(message, reason, description)
        elif how is Settlement.RELEASE:
            self._make_available(message, failed=False)
        else:
            self._make_available(message, failed=True)

    def _unlock(self, message: BrokerMessage) -> None:
        if message.lock_token is not None:
            self._by_token.pop(message.lock_token, None)
        message.lock_token = message.locked_until = None

    def _make_available(self, message: BrokerMessage, *, failed: bool) -> None:
        if failed:
            message.delivery_count += 1
        if failed and message.delivery_count >= self.options.max_delivery_count:
            self._to_dead_letter(
                message,
                "MaxDeliveryCountExceeded",
                f"Message could not be consumed after {self.options.max_delivery_count} delivery attempts.",
            )
            return
        message.state = State.DEFERRED if message.deferred else State.ACTIVE
        self._put(message)

    def _to_dead_letter(self, message: BrokerMessage, reason: str | None, description: str | None) -> None:
        del self._messages[message.sequence_number]
        if self.dead_letter is None:  # dead-lettering within the dead-letter queue: it stays
            message.state = State.ACTIVE
            self._put(message)
            return
        properties = Message()
        for code, raw in message.sections:
            if code == sections.APPLICATION_PROPERTIES:
                properties.decode(raw)
        given: Any = properties.properties
        values = dict(given or {})
        if reason is not None:
            values["DeadLetterReason"] = reason
        if description is not None:
            values["DeadLetterErrorDescription"] = description
        encoded: Any = Message()
        encoded.properties = values
        parts = [s for s in message.sections if s[0] != sections.APPLICATION_PROPERTIES]
        parts += [s for s in sections.split(encoded.encode()) if s[0] == sections.APPLICATION_PROPERTIES]
        message.sections = parts
        message.state, message.deferred, message.expires_at = State.ACTIVE, False, None
        self.dead_letter._put(message)

    # -- time -----------------------------------------------------------------------------
    def tick(self) -> None:
        """Applies what the clock has made due: lost locks, scheduled messages, expiry."""
        now = self.clock.now()
        while self._due and self._due[0][0] <= now:
            message = self._messages.get(heapq.heappop(self._due)[1])
            if message is None:
                continue
            if message.state is State.LOCKED and (message.locked_until or 0) <= now:
                self._unlock(message)
                self._make_available(message, failed=True)
            elif message.state is State.SCHEDULED and (message.scheduled_for or 0) <= now:
                message.state, message.enqueued_at = State.ACTIVE, now
                self._put(message)
            elif (
                message.state is State.ACTIVE and message.expires_at is not None and message.expires_at <= now
            ):
                if self.options.dead_letter_on_expiry:
                    self._to_dead_letter(
                        message, "TTLExpiredException", "The message expired and was dead lettered."
                    )
                else:
                    del self._messages[message.sequence_number]
        if self.dead_letter is not None:
            self.dead_letter.tick()

    def counts(self) -> Counts:
        self.tick()
        states = [m.state for m in self._messages.values()]
        return Counts(
            active=sum(s in (State.ACTIVE, State.LOCKED, State.DEFERRED) for s in states),
            scheduled=sum(s is State.SCHEDULED for s in states),
            dead_letter=0 if self.dead_letter is None else len(self.dead_letter._messages),
        )
