"""A queue within one process, for ``diamond run`` and for tests; it is gone when the process is."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from diamond_opus.domain.clock import Clock, SystemClock
from diamond_opus.domain.waiting import wait_for_event
from diamond_opus.queue.limits import MAX_DELIVERIES_EXCEEDED, QueueLimits, too_often
from diamond_opus.queue.protocol import DeadLetter, LeaseLost, Message, Received


@dataclass(slots=True)
class _Stored:
    """A message as kept; ``leased`` says whether ``visible_at`` is the end of a lease or of a delay."""

    id: str
    body: bytes
    properties: Mapping[str, str]
    visible_at: datetime
    deliveries: int = 0
    leased: bool = False
    reason: str = ""
    description: str = ""


class MemoryQueue:
    """The semantics of the other transports, on the clock it is given. Doubled ids are not dropped."""

    def __init__(self, name: str, limits: QueueLimits, *, clock: Clock | None = None) -> None:
        self._name = name
        self._limits = limits
        self._clock = clock or SystemClock()
        self._messages: dict[int, _Stored] = {}
        self._dead: dict[int, _Stored] = {}
        self._last_number = 0
        self._changed = asyncio.Event()

    @property
    def name(self) -> str:
        return self._name

    async def send(self, messages: Sequence[Message], *, delay_seconds: float = 0) -> None:
        visible_at = self._clock.now() + timedelta(seconds=delay_seconds)
        for message in messages:
            number = self._next_number()
            body = orjson.dumps(message.body)  # what another transport could not carry fails here too
            properties = dict(message.properties)
            self._messages[number] = _Stored(message.id or str(number), body, properties, visible_at)
        self._wake_receivers()

    async def receive(self, limit: int = 1, *, wait_seconds: float = 1.0) -> Sequence[Received]:
        deadline = self._clock.monotonic() + wait_seconds
        while True:
            found = self._lease(limit)
            remaining = deadline - self._clock.monotonic()
            if found or remaining <= 0:
                return found
            await self._wait_for_visible(remaining)

    async def complete(self, message: Received) -> None:
        number, _ = self._held(message)
        del self._messages[number]

    async def abandon(self, message: Received, *, delay_seconds: float = 0) -> bool:
        number, stored = self._held(message)
        if stored.deliveries >= self._limits.max_deliveries:
            self._bury(number, MAX_DELIVERIES_EXCEEDED, too_often(stored.deliveries))
            return False
        stored.leased = False
        stored.visible_at = self._clock.now() + timedelta(seconds=delay_seconds)
        self._wake_receivers()
        return True

    async def dead_letter(self, message: Received, *, reason: str, description: str = "") -> None:
        number, _ = self._held(message)
        self._bury(number, reason, description)

    async def renew(self, message: Received) -> Received:
        _, stored = self._held(message)
        stored.visible_at = self._lease_end()
        return replace(message, leased_until=stored.visible_at)

    async def dead_letters(self, limit: int = 100) -> Sequence[DeadLetter]:
        oldest = list(self._dead.items())[:limit]
        return [
            DeadLetter(str(number), orjson.loads(s.body), dict(s.properties), s.reason, s.description)
            for number, s in oldest
        ]

    async def count_dead_letters(self, before: datetime) -> int:
        return len(self._dead_before(before))

    async def purge_dead_letters(self, before: datetime, *, limit: int) -> int:
        old = self._dead_before(before)[:limit]
        for number in old:
            del self._dead[number]
        return len(old)

    async def replay(self, dead_letter_id: str) -> bool:
        number = int(dead_letter_id) if dead_letter_id.isdecimal() else -1
        stored = self._dead.pop(number, None)
        if stored is None:
            return False
        self._messages[self._next_number()] = _Stored(
            stored.id, stored.body, stored.properties, visible_at=self._clock.now()
        )
        self._wake_receivers()
        return True

    def _lease(self, limit: int) -> list[Received]:
        now = self._clock.now()
        found: list[Received] = []
        for number, stored in list(self._messages.items()):
            if len(found) == limit:
                break
            if stored.visible_at > now:
                continue
            if stored.deliveries >= self._limits.max_deliveries:
                self._bury(number, MAX_DELIVERIES_EXCEEDED, too_often(stored.deliveries))
                continue
            stored.deliveries += 1
            stored.leased = True
            stored.visible_at = self._lease_end()
            found.append(_received(number, stored))
        return found

    async def _wait_for_visible(self, at_most_seconds: float) -> None:
        now = self._clock.now()
        nearest = min((s.visible_at for s in self._messages.values()), default=None)
        seconds = (
            at_most_seconds if nearest is None else min(at_most_seconds, (nearest - now).total_seconds())
        )
        await wait_for_event(self._changed, self._clock, at_most_seconds=max(seconds, 0))

    def _held(self, message: Received) -> tuple[int, _Stored]:
        number, deliveries = _token(message)
        stored = self._messages.get(number)
        if (
            stored is None
            or not stored.leased
            or stored.deliveries != deliveries
            or stored.visible_at <= self._clock.now()
        ):
            raise LeaseLost(f"{self._name}: the lease of message {message.id} ran out; nothing was changed")
        return number, stored

    def _bury(self, number: int, reason: str, description: str) -> None:
        stored = self._messages.pop(number)
        self._dead[number] = replace(
            stored, reason=reason, description=description, visible_at=self._clock.now()
        )

    def _dead_before(self, moment: datetime) -> Sequence[int]:
        return [number for number, stored in self._dead.items() if stored.visible_at < moment]

    def _lease_end(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._limits.lease_seconds)

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _wake_receivers(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _received(number: int, stored: _Stored) -> Received:
    body: Any = orjson.loads(stored.body)
    return Received(
        stored.id,
        body,
        dict(stored.properties),
        stored.deliveries - 1,
        stored.visible_at,
        (number, stored.deliveries),
    )


def _token(message: Received) -> tuple[int, int]:
    if not isinstance(message.token, tuple):
        raise TypeError(f"message {message.id} was received from another transport")
    number, deliveries = message.token
    return number, deliveries
