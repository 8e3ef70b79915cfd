"""Keeps the inventory moving: prices change, stones vanish, appear, return, are held, released and sold."""

import random

from diamond_opus.simulator.clock import Clock
from diamond_opus.simulator.hostile import PRICE_ZERO
from diamond_opus.simulator.inventory import Inventory
from diamond_opus.simulator.vocabulary import AVAILABILITIES

#: How often each thing happens, of a hundred events: invented.
_WEIGHTS = {
    "reprice": 45,
    "remove": 15,
    "insert": 15,
    "insert_old": 1,
    "relist": 4,
    "hold": 10,
    "release": 7,
    "sell": 3,
}

_AVAILABLE, _HOLD, _SOLD = (AVAILABILITIES.code(word) for word in ("AVAILABLE", "HOLD", "SOLD"))

_MOST_CENTS = 1_500_000_000
_TRIES = 200


class Churn:
    """Seeded: the same settings and the same requests move the same stones.

    Three sources add up: a rate by requests, a rate by time, and a plan to spread events over the next
    requests.
    """

    def __init__(
        self, inventory: Inventory, clock: Clock, *, seed: int, per_1000_requests: float, per_second: float
    ) -> None:
        self._inventory = inventory
        self._clock = clock
        self._rng = random.Random(f"churn {seed}")
        self._per_request = per_1000_requests / 1000
        self._per_second = per_second
        self._last_ms = clock.now_ms()
        self._due = 0.0
        self._planned_per_request = 0.0
        self._planned_requests = 0
        self._removed: list[int] = []
        self._held: list[int] = []

    def set_rates(self, *, per_1000_requests: float, per_second: float) -> None:
        self._per_request = per_1000_requests / 1000
        self._per_second = per_second
        self._last_ms = self._clock.now_ms()

    def spread(self, share: float, requests: int) -> None:
        """Let events worth ``share`` of the inventory happen during the next ``requests``, evenly."""
        self._planned_per_request = share * self._inventory.present_count / max(1, requests)
        self._planned_requests = requests

    def on_request(self) -> None:
        """Apply what is due by now."""
        self._due += self._per_request
        if self._planned_requests:
            self._planned_requests -= 1
            self._due += self._planned_per_request
        if self._per_second:
            now = self._clock.now_ms()
            self._due += (now - self._last_ms) / 1000 * self._per_second
            self._last_ms = now
        if self._due >= 1:
            events = int(self._due + 1e-9)
            self._due -= events
            self.apply(events)

    def apply(self, events: int) -> int:
        """Let so many events happen now; how many did (fewer only when there is nothing left to move)."""
        kinds = self._rng.choices(list(_WEIGHTS), weights=list(_WEIGHTS.values()), k=events)
        return sum(self._happen(kind) for kind in kinds)

    def remove_share(self, share: float) -> int:
        """Let a share of the listed stones vanish at once; how many did."""
        wanted = round(share * self._inventory.present_count)
        return sum(self._happen("remove") for _ in range(wanted))

    def _happen(self, kind: str) -> bool:
        inventory, now = self._inventory, self._clock.now_ms()
        if kind == "insert":
            inventory.insert(now)
            return True
        if kind == "insert_old":
            old = (
                int(inventory.columns.created_ms[self._rng.randrange(inventory.born)])
                if inventory.born
                else now
            )
            inventory.insert(now, created_ms=old)
            return True
        if kind == "relist" and self._removed:
            inventory.relist(self._taken(self._removed), now)
            return True
        if kind == "release" and self._held:
            row = self._taken(self._held)
            if inventory.columns.present[row] and inventory.columns.availability[row] == _HOLD:
                inventory.set_availability(row, _AVAILABLE, now)
            return True
        row_or_none = self._some_stone()
        if row_or_none is None:
            return False
        self._befall(row_or_none, kind, now)
        return True

    def _befall(self, row: int, kind: str, now: int) -> None:
        """What can happen to any listed stone; a kind that found nothing to undo is a change of price
        instead.
        """
        if kind == "remove":
            self._inventory.remove(row, now)
            self._removed.append(row)
        elif kind == "hold":
            self._inventory.set_availability(row, _HOLD, now)
            self._held.append(row)
        elif kind == "sell":
            self._inventory.set_availability(row, _SOLD, now)
        else:
            self._inventory.reprice(row, self._new_price(row), now)

    def _new_price(self, row: int) -> int:
        """Mostly a few percent away, sometimes in quite another range; a price of 0 stays."""
        columns = self._inventory.columns
        if columns.hostile[row] == PRICE_ZERO:
            return 0
        factor = self._rng.uniform(0.92, 1.08) if self._rng.random() < 0.8 else self._rng.uniform(0.3, 3.0)
        return max(1_000, min(round(int(columns.price_cents[row]) * factor), _MOST_CENTS))

    def _some_stone(self) -> int | None:
        """A listed stone that no client has traded."""
        inventory = self._inventory
        for _ in range(_TRIES if inventory.present_count else 0):
            row = self._rng.randrange(inventory.born)
            if (
                inventory.columns.present[row]
                and row not in inventory.hold_ids
                and row not in inventory.order_item_ids
            ):
                return row
        return None

    def _taken(self, rows: list[int]) -> int:
        at = self._rng.randrange(len(rows))
        rows[at], rows[-1] = rows[-1], rows[at]
        return rows.pop()
