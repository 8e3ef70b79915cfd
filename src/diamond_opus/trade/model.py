"""What a hold and an order are, and the states they may go through.

An order::

                    ┌─▶ refused ◀────────────────┐
    sending ────────┼─▶ ordered ─▶ confirmed ─▶ returned
     ▲   │          └─▶ unknown ─▶ ordered, confirmed or refused: by evidence, or by a person
     │   ▼
    failed            surely not done: the stone is free, the same key may be sent again

A hold::

    sending ─┬─▶ active ─▶ releasing ─▶ released      (releasing ─▶ active: the supplier kept it)
             ├─▶ denied        └──────▶ expired       (active ─▶ released: used by an order, or ended by the supplier)
             ├─▶ failed
             └─▶ unknown ─▶ active, failed, released or expired

The database refuses every other step, a second live hold and a second live order of a stone
(migrations/0006_trade.sql). Live is what may bind the stone: ``sending`` and ``unknown`` too.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from diamond_opus.domain.errors import DiamondError

#: How long a hold lasts when the supplier does not say.
HOLD_TIME = timedelta(hours=24)


class OrderStatus(StrEnum):
    SENDING = "sending"
    UNKNOWN = "unknown"
    ORDERED = "ordered"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    FAILED = "failed"
    RETURNED = "returned"


class HoldStatus(StrEnum):
    SENDING = "sending"
    ACTIVE = "active"
    DENIED = "denied"
    FAILED = "failed"
    UNKNOWN = "unknown"
    RELEASING = "releasing"
    RELEASED = "released"
    EXPIRED = "expired"


#: Orders that bind their stone.
LIVE_ORDERS = frozenset(
    {OrderStatus.SENDING, OrderStatus.UNKNOWN, OrderStatus.ORDERED, OrderStatus.CONFIRMED}
)


class TradeConflict(DiamondError):
    """What was asked cannot be done as things are. The message may be shown to anybody.

    ``confidential`` is what only a caller with the permission cost may read (the supplier's words, prices);
    ``retry_after_seconds`` is set where waiting helps.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: dict[str, Any] | None = None,
        confidential: dict[str, Any] | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.details = details or {}
        self.confidential = confidential or {}
        self.retry_after_seconds = retry_after_seconds


class TradeForbidden(DiamondError):
    """What was asked belongs to another client; only an administrator may do it."""


class NoSuchStone(DiamondError):
    """There is no such stone on sale."""


class NothingStored(DiamondError):
    """A repeated signed request may only be told the answer that its key has, and it has none."""


class NoSuchHold(DiamondError):
    """There is no such hold, or no live one."""


class NoSuchOrder(DiamondError):
    """There is no such order, or it is another client's."""


class SupplierFailed(DiamondError):
    """The supplier could not be asked, or did not answer; nothing was done. Its words stay in the log."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class StoneKey:
    """Which stone of which feed."""

    feed: str
    supplier_stone_id: str


@dataclass(frozen=True, slots=True)
class TradedStone:
    """A stone of the catalogue, as far as trade needs it."""

    id: UUID
    feed: str
    supplier_stone_id: str
    offer_id: str
    is_active: bool
    feed_price_cents: int
    availability: str
    lab_grown: bool

    @property
    def key(self) -> StoneKey:
        return StoneKey(self.feed, self.supplier_stone_id)


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """A row of ``hold_history``; ``id`` is ours, ``feed_hold_id`` the supplier's."""

    id: UUID
    diamond_id: UUID | None
    feed: str
    supplier_stone_id: str
    offer_id: str
    client: str | None
    status: HoldStatus
    denied: bool
    by_hand: bool
    feed_hold_id: str | None
    hold_until: datetime | None
    reason: str | None
    sent_at: datetime | None
    free_since: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def key(self) -> StoneKey:
        return StoneKey(self.feed, self.supplier_stone_id)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What a caller was told, byte for byte."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """A row of ``purchase_history``; money is whole cents."""

    id: UUID
    diamond_id: UUID | None
    feed: str
    supplier_stone_id: str
    offer_id: str
    client: str | None
    idempotency_key: str
    body_hash: str | None
    status: OrderStatus
    feed_order_id: str | None
    reference: str | None
    comments: str | None
    destination_id: str | None
    return_option: bool | None
    max_price_cents: int | None
    feed_price_cents: int | None
    order_item_before: str | None
    reason: str | None
    sent_at: datetime | None
    free_since: datetime | None
    reported_at: datetime | None
    resolved_by: str | None
    resolved_at: datetime | None
    resolved_how: str | None
    resolution_note: str | None
    answer_status: int | None
    answer_body: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def key(self) -> StoneKey:
        return StoneKey(self.feed, self.supplier_stone_id)

    @property
    def answer(self) -> StoredAnswer | None:
        if self.answer_status is None or self.answer_body is None:
            return None
        return StoredAnswer(self.answer_status, self.answer_body)
