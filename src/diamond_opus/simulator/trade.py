"""Holds, orders and requests: what the supplier promises, refuses and forgets to tell.

A hold lasts 24 hours. An order makes the stone ON_HOLD at once and, 24 hours later or when the control
address says so, SOLD (confirmed) or AVAILABLE again (refused). There is no order query and no idempotency
key: the same order sent again for a stone already ordered is an error, for any other stone it is one more
order.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal

import numpy as np

from diamond_opus.simulator.clock import Clock
from diamond_opus.simulator.execute import FieldError, Stones
from diamond_opus.simulator.inventory import Inventory
from diamond_opus.simulator.vocabulary import AVAILABILITIES

HOLD_MS = DECISION_MS = 24 * 3_600_000

_NEVER = 1 << 62
_OFFER_PREFIX = "DIAMOND/"
_AVAILABLE, _HOLD, _ON_HOLD, _SOLD = (
    AVAILABILITIES.code(word) for word in ("AVAILABLE", "HOLD", "ON_HOLD", "SOLD")
)


@dataclass(slots=True)
class Hold:
    """One hold ever asked for; ``until_ms`` is None for a denied one."""

    id: str
    row: int
    stone_id: str
    requested_ms: int
    until_ms: int | None
    state: Literal["active", "denied", "cancelled", "expired", "ordered"]
    requested_info: list[str]


@dataclass(slots=True)
class OrderItem:
    id: str
    row: int
    offer_id: str
    details: dict[str, Any]


@dataclass(slots=True)
class Order:
    """One order ever accepted, whether or not its answer arrived."""

    id: str
    ordered_ms: int
    items: list[OrderItem]
    state: Literal["pending", "confirmed", "refused"] = "pending"

    @property
    def decided_ms(self) -> int:
        """When it is confirmed, if nothing happens before."""
        return self.ordered_ms + DECISION_MS


@dataclass(slots=True)
class Book:
    """Everything clients asked the supplier to do."""

    holds: dict[str, Hold] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    locations: dict[str, dict[str, Any]] = field(default_factory=dict)


class Trade:
    """The mutations of the schema that concern stones, and what time does to them."""

    def __init__(self, inventory: Inventory, clock: Clock, seed: int) -> None:
        self._inventory = inventory
        self._clock = clock
        self._rng = Random(f"trade {seed}")
        self.book = Book()
        self._next_due_ms = _NEVER

    def create_hold(
        self, stone_id: str, product_type: str, requested_info: Sequence[str], *, refuse: bool
    ) -> dict[str, Any]:
        """A Hold. The id is the bare stone id: an offer id is not found, as with the supplier."""
        if product_type != "Diamond":
            raise FieldError(f"Only diamonds are offered here, not {product_type}")
        row = self._listed(stone_id)
        if self._availability(row) != _AVAILABLE:
            raise FieldError(f"Diamond {stone_id} is not available")
        now = self._clock.now_ms()
        hold = Hold(self._new_id(), row, stone_id, now, now + HOLD_MS, "active", list(requested_info))
        if refuse:
            hold.state, hold.until_ms = "denied", None
        else:
            self._inventory.hold_ids[row] = hold.id
            self._inventory.set_availability(row, _HOLD, now)
            self._next_due_ms = min(self._next_due_ms, now + HOLD_MS)
        self.book.holds[hold.id] = hold
        return self._as_answer(hold)

    def cancel_hold(self, hold_id: str, *, refuse: bool = False) -> dict[str, Any]:
        hold = self.book.holds.get(hold_id)
        if refuse:
            raise FieldError(f"Hold {hold_id} cannot be cancelled")
        if hold is None or hold.state != "active":
            raise FieldError("Hold not found" if hold is None else f"Hold {hold_id} is {hold.state}")
        self._end_hold(hold, "cancelled")
        return self._as_answer(hold)

    def create_order(self, items: Sequence[dict[str, Any]], *, refuse: bool = False) -> str:
        """The order's id. All items are accepted or none."""
        if refuse:
            raise FieldError("The vendor does not sell this diamond to you")
        if not items:
            raise FieldError("An order needs at least one item")
        rows = [self._orderable(item["offerId"]) for item in items]
        if len(set(rows)) != len(rows):
            raise FieldError("A diamond can be ordered only once")
        now = self._clock.now_ms()
        order = Order(self._new_id(), now, [])
        for row, item in zip(rows, items, strict=True):
            returnable = bool(self._inventory.columns.returns[row])
            details = {**item, "return_option": bool(item.get("return_option")) and returnable}
            order.items.append(OrderItem(self._new_id(), row, item["offerId"], details))
            self._take(row, order.items[-1].id, now)
        self.book.orders[order.id] = order
        self._next_due_ms = min(self._next_due_ms, order.decided_ms)
        return order.id

    def create_request(self, **details: Any) -> str:
        """The id of a request by certificate number; it is only written down."""
        request = {"id": self._new_id(), "at_ms": self._clock.now_ms(), **details}
        self.book.requests.append(request)
        return str(request["id"])

    def create_concierge_request(self, **details: Any) -> dict[str, Any]:
        request_id = self.create_request(**details)
        return {
            "certNumber": "",
            **details,
            "id": request_id,
            "created_at": float(self._clock.now_ms()),
            "status": "PENDING",
        }

    def create_location(self, location: dict[str, Any]) -> dict[str, Any]:
        stored = {**location, "id": self._new_id()}
        self.book.locations[stored["id"]] = stored
        return stored

    def update_location(self, location_id: str, location: dict[str, Any] | None) -> dict[str, Any] | None:
        if location_id not in self.book.locations:
            raise FieldError("Location not found")
        self.book.locations[location_id] |= location or {}
        return self.book.locations[location_id]

    def delete_location(self, location_id: str) -> bool:
        return self.book.locations.pop(location_id, None) is not None

    def let_time_pass(self) -> None:
        """End the holds whose time is over, and confirm the orders that waited long enough."""
        now = self._clock.now_ms()
        if now < self._next_due_ms:
            return
        for hold in self.book.holds.values():
            if hold.state == "active" and hold.until_ms is not None and hold.until_ms <= now:
                self._end_hold(hold, "expired")
        for order in self.book.orders.values():
            if order.state == "pending" and order.decided_ms <= now:
                self.decide(order.id, confirm=True)
        ends = [hold.until_ms or _NEVER for hold in self.book.holds.values() if hold.state == "active"]
        ends += [order.decided_ms for order in self.book.orders.values() if order.state == "pending"]
        self._next_due_ms = min(ends, default=_NEVER)

    def end_hold(self, hold_id: str) -> Hold:
        """The vendor ends an active hold before its time. Raises KeyError for an unknown one."""
        hold = self.book.holds[hold_id]
        if hold.state == "active":
            self._end_hold(hold, "cancelled")
        return hold

    def decide(self, order_id: str, *, confirm: bool) -> Order:
        """Confirm or refuse a pending order. Raises KeyError for an unknown one."""
        order = self.book.orders[order_id]
        if order.state == "pending":
            order.state = "confirmed" if confirm else "refused"
            for item in order.items:
                if not confirm:
                    del self._inventory.order_item_ids[item.row]
                self._inventory.set_availability(
                    item.row, _SOLD if confirm else _AVAILABLE, self._clock.now_ms()
                )
        return order

    def _listed(self, stone_id: str) -> int:
        row = self._inventory.row_of(stone_id)
        if row is None or not self._inventory.columns.present[row]:
            raise FieldError("Diamond not found")
        return row

    def _orderable(self, offer_id: str) -> int:
        if not offer_id.startswith(_OFFER_PREFIX):
            raise FieldError(f"Offer not found: {offer_id}")
        row = self._listed(offer_id.removeprefix(_OFFER_PREFIX))
        held_by_caller = row in self._inventory.hold_ids
        if row in self._inventory.order_item_ids or not (
            held_by_caller or self._availability(row) == _AVAILABLE
        ):
            raise FieldError(f"Offer {offer_id} is not available")
        return row

    def _take(self, row: int, item_id: str, now: int) -> None:
        hold_id = self._inventory.hold_ids.pop(row, None)
        if hold_id is not None:
            self.book.holds[hold_id].state = "ordered"
        self._inventory.order_item_ids[row] = item_id
        self._inventory.set_availability(row, _ON_HOLD, now)

    def _end_hold(self, hold: Hold, state: Literal["cancelled", "expired"]) -> None:
        hold.state = state
        self._inventory.hold_ids.pop(hold.row, None)
        self._inventory.set_availability(hold.row, _AVAILABLE, self._clock.now_ms())

    def _availability(self, row: int) -> int:
        return int(self._inventory.columns.availability[row])

    def _as_answer(self, hold: Hold) -> dict[str, Any]:
        return {
            "id": hold.id,
            "diamond": Stones(np.array([hold.row])),
            "ProductType": "Diamond",
            "denied": hold.state == "denied",
            "until": None if hold.until_ms is None else float(hold.until_ms),
            "extension_status": "NOT_APPLICABLE",
            "request_date": datetime.fromtimestamp(hold.requested_ms / 1000, UTC).isoformat(),
        }

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
