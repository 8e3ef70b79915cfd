"""What a queue must give: at-least-once delivery under a lease, as Azure Service Bus has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from diamond_opus.domain.errors import DiamondError

WORK_ITEMS = "work-items"
WORK_DONE = "work-done"
CONSOLIDATE = "consolidate"
QUEUES = (WORK_ITEMS, WORK_DONE, CONSOLIDATE)


class LeaseLost(DiamondError):
    """The lease ran out: another process may have the message, so nothing was changed."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. ``id`` lets a transport drop a doubled send; a deliberate re-send carries another id."""

    body: Mapping[str, Any]
    id: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """A message under lease; ``delivery_count`` is how often it was delivered before, ``token`` the transport's own."""

    id: str
    body: Mapping[str, Any]
    properties: Mapping[str, str]
    delivery_count: int
    leased_until: datetime
    token: object


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message set aside, with the reason a person reads and the id by which it is replayed."""

    id: str
    body: Mapping[str, Any]
    properties: Mapping[str, str]
    reason: str
    description: str


class Queue(Protocol):
    """One queue. Leases are as long as the queue was set up with; a late settlement raises ``LeaseLost``."""

    @property
    def name(self) -> str: ...

    async def send(self, messages: Sequence[Message], *, delay_seconds: float = 0) -> None: ...

    async def receive(self, limit: int = 1, *, wait_seconds: float = 1.0) -> Sequence[Received]:
        """Up to ``limit`` visible messages; empty after ``wait_seconds`` without any."""
        ...

    async def complete(self, message: Received) -> None: ...

    async def abandon(self, message: Received, *, delay_seconds: float = 0) -> bool:
        """Give it back, to be delivered again after the delay; False when that was the last delivery that it may have,
        and it was dead-lettered.
        """
        ...

    async def dead_letter(self, message: Received, *, reason: str, description: str = "") -> None: ...

    async def renew(self, message: Received) -> Received: ...

    async def dead_letters(self, limit: int = 100) -> Sequence[DeadLetter]:
        """Look at what was set aside, oldest first, without changing it."""
        ...

    async def replay(self, dead_letter_id: str) -> bool:
        """Send a dead letter again; False when it is no longer there."""
        ...

    async def count_dead_letters(self, before: datetime) -> int:
        """How many were sent before this moment, or set aside, where the transport knows that."""
        ...

    async def purge_dead_letters(self, before: datetime, *, limit: int) -> int:
        """Forget up to ``limit`` of those that ``count_dead_letters`` counts; fewer than that were the last of them."""
        ...
