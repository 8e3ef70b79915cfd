"""What a feed must be able to do with single stones: look at them now, hold them, let them go, order them.

What changes something at the supplier is sent once and never again by itself: suppliers know no idempotency key. So
every error says what is known of the request:

- ``Retryable`` or ``Fatal``: it was surely not done;
- ``Refused``: the supplier said no;
- ``AnswerLost``: it may have been done, and only what the supplier shows later can tell.
"""

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class OfferedCertificate:
    """What the certificate says, in the supplier's own words."""

    lab: str | None
    number: str | None
    shape: str | None
    carats: float | None
    color: str | None
    clarity: str | None
    cut: str | None
    polish: str | None
    symmetry: str | None
    fluorescence: str | None
    lab_grown: bool | None


@dataclass(frozen=True, slots=True)
class Offer:
    """An item as the supplier shows it now; ``availability`` is our word for ``raw_availability``.

    ``hold_id`` and ``order_item_id`` are the marks of a hold and of an order of this very account.
    """

    offer_id: str
    supplier_stone_id: str
    price_cents: int | None
    discount: float | None
    availability: str
    raw_availability: str | None
    hold_id: str | None
    order_item_id: str | None
    stock_id: str | None
    supplier_stock_id: str | None
    image_url: str | None
    video_url: str | None
    certificate: OfferedCertificate | None
    supplier_id: str | None
    supplier_name: str | None


@dataclass(frozen=True, slots=True)
class OfferQuestion:
    """Which offers are asked for. Prices are whole dollars, carats hundredths; None means any, both ends count."""

    lab_grown: bool = False
    price_from: int | None = None
    price_to: int | None = None
    carats_from: int | None = None
    carats_to: int | None = None
    shapes: Sequence[str] = ()
    has_image: bool | None = None
    has_video: bool | None = None


class Trader(Protocol):
    """A supplier's counter for single stones, behind the same request budget as its inventory."""

    def stone_of_offer(self, offer_id: str) -> str | None:
        """The stone's own id behind an offer id; None for what is no offer id of this feed."""
        ...

    def read_offer(self, item: RawItem) -> Offer:
        """What an item says; a field of the wrong type counts as missing."""
        ...

    async def search(self, question: OfferQuestion, *, offset: int, limit: int) -> Sequence[RawItem]:
        """Offers as the supplier shows them now, oldest first; a page may be short. Raises Retryable or Fatal."""
        ...

    async def count(self, question: OfferQuestion) -> int: ...

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
