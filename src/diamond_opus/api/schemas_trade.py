"""What trade's bodies and answers look like: holds, orders, availability, and the supplier's live offers."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from diamond_opus.api.schemas import Answer, Body
from diamond_opus.domain.grades import Availability
from diamond_opus.trade.model import HoldStatus, OrderStatus

_CLIENT_NAME = "What people call the client: the name of its key, or of who signs."
_COST = "Only shown to keys with the permission cost; otherwise the field is left out."

#: What a JSON number may be as cents: it must fit NUMERIC(12,2) dollars.
MOST_CENTS = 999_999_999_999
MOST_DOLLARS = 2_147_483_647


def _storable(text: str) -> str:
    if any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not hold a NUL or half a character")
    return text


Line = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_storable)]
Comment = Annotated[str, Field(max_length=2_000), AfterValidator(_storable)]
Flag = Annotated[bool, Field(strict=True)]
Dollars = Annotated[int, Field(ge=0, le=MOST_DOLLARS, strict=True)]
Carats = Annotated[float, Field(ge=0, lt=10_000, allow_inf_nan=False)]


class PurchaseBody(Body):
    """How a stone is to be bought."""

    destination_id: Line | None = Field(
        default=None, description="Where it goes: an address known to the supplier."
    )
    reference: Line | None = Field(default=None, description="Your own order number; the supplier is told.")
    comments: Comment | None = Field(default=None, description="For the supplier.")
    return_option: Flag | None = Field(
        default=None, description="With the right to return it; silently dropped for stones that cannot be."
    )
    max_price_cents: Annotated[int, Field(ge=0, le=MOST_CENTS, strict=True)] | None = Field(
        default=None,
        description="The most that the stone may cost us when the supplier is asked anew, in US cents.",
    )
    idempotency_key: Line | None = Field(
        default=None, description="Instead of the header Idempotency-Key, which goes before it."
    )


class OfferPurchaseBody(PurchaseBody):
    """How an offer of the supplier is to be bought."""

    offer_id: Line = Field(description="The supplier's offer id.")


class AvailabilityBody(Body):
    """What is said of a stone; nothing at all asks the supplier."""

    availability: Availability | None = None
    hold_id: Line | None = Field(
        default=None, description="With on_hold: the supplier's id of a hold made elsewhere."
    )


class ResolveOrderBody(Body):
    """What became of an order, as a person found out."""

    order_id: UUID
    outcome: Literal["ordered", "confirmed", "refused"]
    feed_order_id: Line | None = Field(default=None, description="The supplier's order id, if it is known.")
    note: Comment = Field(min_length=1, description="How you know; kept in the audit log.")


class OfferHoldBody(Body):
    offer_id: Line = Field(description="The supplier's offer id.")


class CancelHoldBody(Body):
    hold_id: Line = Field(description="Our id of the hold, or the supplier's.")


class OfferCountBody(Body):
    """Which offers of the supplier are asked for; ranges include both ends."""

    price_min: Dollars | None = Field(
        default=None, description="Cost in whole US dollars, as the supplier filters."
    )
    price_max: Dollars | None = Field(default=None, description="Cost in whole US dollars.")
    carat_min: Carats | None = None
    carat_max: Carats | None = None
    shapes: tuple[Line, ...] = Field(default=(), max_length=50)
    lab_grown: Flag = Field(
        default=False, description="Lab-grown stones, or natural ones: one type at a time."
    )
    has_image: Flag | None = None
    has_video: Flag | None = None


class OfferSearchBody(OfferCountBody):
    offset: Annotated[int, Field(ge=0, le=10_000_000, strict=True)] = 0
    limit: Annotated[int, Field(ge=1, le=50, strict=True)] = 20


class Hold(Answer):
    """A hold of a stone; `id` is ours."""

    id: UUID
    diamond_id: UUID | None = Field(description="null for a stone that is not in the catalogue.")
    feed: str
    status: HoldStatus = Field(
        description="active binds the stone. sending and unknown may: the supplier's answer is waited for, or was lost."
    )
    denied: bool
    until: datetime | None = Field(description="When an active hold ends by itself.")
    created_at: datetime
    updated_at: datetime
    feed_hold_id: str | None = Field(None, description=f"The supplier's id. {_COST}")
    offer_id: str | None = Field(None, description=_COST)
    reason: str | None = Field(None, description=f"The supplier's words. {_COST}")


class HoldOfClient(Hold):
    """A hold as an operator sees it."""

    client: str | None
    client_name: str | None = Field(description=_CLIENT_NAME)
    hold_until: datetime | None
    by_hand: bool = Field(description="Noted by a person; the supplier was not asked for it.")


class Order(Answer):
    """An order of a stone; `id` is ours."""

    id: UUID
    diamond_id: UUID | None = Field(description="null for a stone that is not in the catalogue.")
    feed: str
    status: OrderStatus = Field(
        description="ordered: the supplier took it; confirmed or refused: the vendor decided; unknown: the answer was "
        "lost, the stone is blocked and it is being found out; failed: surely not done."
    )
    idempotency_key: str
    destination_id: str | None
    reference: str | None
    comments: str | None
    return_option: bool | None
    max_price_cents: int | None
    created_at: datetime
    feed_order_id: str | None = Field(None, description=f"The supplier's id. {_COST}")
    offer_id: str | None = Field(None, description=_COST)
    feed_price_cents: int | None = Field(None, description=f"What it cost us. {_COST}")


class OrderNow(Order):
    """An order as it is now."""

    updated_at: datetime
    resolved_at: datetime | None = Field(description="When a lost answer was made up for.")
    reason: str | None = Field(None, description=f"Why it was refused or failed. {_COST}")


class OrderOfClient(OrderNow):
    """An order as an operator sees it."""

    client: str | None
    client_name: str | None = Field(description=_CLIENT_NAME)
    sent_at: datetime | None
    reported_at: datetime | None
    resolved_by: str | None
    resolved_how: Literal["evidence", "person"] | None
    resolution_note: str | None


class StoneAvailability(Answer):
    """What may be done with a stone now."""

    id: UUID
    availability: Availability
    raw_availability: str | None = Field(description="The supplier's own word, when it was asked.")
    checked_at: datetime | None = Field(description="When the supplier was asked; null when it was not.")
    hold_id: str | None = Field(None, description=f"The supplier's mark of our hold. {_COST}")


class OfferCount(Answer):
    count: int


class OfferCertificate(Answer):
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


class OfferSupplier(Answer):
    id: str | None
    name: str | None


class OfferedDiamond(Answer):
    id: str
    availability: Availability
    raw_availability: str | None
    hold_id: str | None
    order_item_id: str | None
    stock_id: str | None
    supplier_stock_id: str | None
    image: str | None
    video: str | None
    certificate: OfferCertificate | None
    supplier: OfferSupplier | None


class LiveOffer(Answer):
    """An offer as the supplier shows it now, in its own words."""

    offer_id: str
    price_cents: int | None = Field(description="Cost in US cents.")
    discount: float | None
    diamond: OfferedDiamond


class OfferPage(Answer):
    total_count: int
    offset: int
    limit: int
    items: list[LiveOffer]
