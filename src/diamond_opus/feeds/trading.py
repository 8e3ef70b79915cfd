"""What a feed must be able to do with a single stone: look at it now, hold it, let it go, order it.

What changes something at the supplier is sent once and never again by itself: suppliers know no idempotency key. So
every error says what is known of the request:

- ``Retryable`` or ``Fatal``: it was surely not done;
- ``Refused``: the supplier said no;
- ``AnswerLost``: it may have been done, and only what the supplier shows later can tell.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from diamond_opus.domain.errors import DiamondError
from diamond_opus.feeds.protocol import RawItem


class Refused(DiamondError):
    """The supplier will not hold, release or sell; the message quotes its reason."""


class AnswerLost(DiamondError):
    """What was asked for may have been done or not; only what the supplier shows later tells. Never send it again."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as the supplier answers it; ``until`` is None when it does not say."""

    id: str
    is_denied: bool
    until: datetime | None


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One offer to be bought. The offer id is ``item.id``, not the stone's."""

    offer_id: str
    destination_id: str | None = None
    reference: str | None = None
    comment: str | None = None
    return_option: bool | None = None


class Trader(Protocol):
    """A supplier's counter for single stones, behind the same request budget as its inventory."""

    async def get_diamond(self, supplier_stone_id: str) -> RawItem | None:
        """The stone as the supplier shows it now; None when it surely has it no more. Raises Retryable or Fatal."""
        ...

    async def create_hold(self, supplier_stone_id: str) -> Hold:
        """Ask for a hold, by the stone's own id."""
        ...

    async def cancel_hold(self, hold_id: str) -> Hold: ...

    async def create_order(self, order: OrderRequest) -> str:
        """Order one offer; the supplier's order id."""
        ...
