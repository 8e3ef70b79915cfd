"""Answers "which stones of this type cost between" without looking at the others, while prices keep moving.

The index is sorted once; rows touched by later events are kept aside and looked at one by one until there
are enough of them to be worth sorting again.
"""

import numpy as np
import numpy.typing as npt

from diamond_opus.simulator.columns import Columns, Rows
from diamond_opus.simulator.inventory import Inventory

_NOT_LISTED = -1


class PriceIndex:
    """Rows by type, sorted by listed price, as of some event, and the rows touched since."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._version = 0
        self._touched: Rows = np.empty(0, dtype=np.int64)
        self._rebuild()

    def candidates(self, *, lab_grown: bool, cents: tuple[int, int] | None) -> Rows:
        """A superset of the listed stones in the range that is exact but for the rows touched lately."""
        self._catch_up()
        rows, prices = self._sorted[lab_grown]
        if cents is not None:
            rows = rows[_slice(prices, cents)]
        if len(self._touched) == 0:
            return rows.astype(np.int64)
        self._scratch[self._touched] = True
        untouched = rows[~self._scratch[rows]].astype(np.int64)
        self._scratch[self._touched] = False
        return np.concatenate([untouched, self._touched])

    def count(self, *, lab_grown: bool, cents: tuple[int, int]) -> int:
        """Exactly how many listed stones of the type cost between the ends, both included."""
        self._catch_up()
        columns, touched = self._inventory.columns, self._touched
        where = _slice(self._sorted[lab_grown][1], cents)
        untouched = max(0, int(where.stop) - int(where.start))
        same_type = touched[columns.lab_grown[touched] == lab_grown]
        were = self._price_then[same_type]
        now = np.where(columns.present[same_type], columns.price_cents[same_type], _NOT_LISTED)
        return untouched - _count_between(were, cents) + _count_between(now, cents)

    def _catch_up(self) -> None:
        log = self._inventory.log
        if log.version == self._version:
            return
        self._touched = np.union1d(self._touched, log.touched_since(self._version))
        self._version = log.version
        if len(self._touched) > max(2_048, self._inventory.born // 200):
            self._rebuild()
        elif len(self._scratch) < self._inventory.columns.capacity:
            self._make_room()

    def _rebuild(self) -> None:
        columns, born = self._inventory.columns, self._inventory.born
        self._version = self._inventory.log.version
        self._touched = np.empty(0, dtype=np.int64)
        self._sorted = {
            lab_grown: _sorted_rows(columns, born, lab_grown=lab_grown) for lab_grown in (False, True)
        }
        self._price_then = np.full(columns.capacity, _NOT_LISTED, dtype=np.int32)
        self._price_then[:born] = np.where(columns.present[:born], columns.price_cents[:born], _NOT_LISTED)
        self._scratch = np.zeros(columns.capacity, dtype=np.bool_)

    def _make_room(self) -> None:
        more = self._inventory.columns.capacity - len(self._scratch)
        self._scratch = np.concatenate([self._scratch, np.zeros(more, dtype=np.bool_)])
        self._price_then = np.concatenate([self._price_then, np.full(more, _NOT_LISTED, dtype=np.int32)])


def _sorted_rows(
    columns: Columns, born: int, *, lab_grown: bool
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    rows = np.flatnonzero(columns.present[:born] & (columns.lab_grown[:born] == lab_grown)).astype(np.int32)
    order = np.argsort(columns.price_cents[rows], kind="stable")
    return rows[order], columns.price_cents[rows[order]]


def _slice(prices: npt.NDArray[np.int32], cents: tuple[int, int]) -> slice:
    low, high = np.int32(cents[0]), np.int32(cents[1])
    return slice(int(np.searchsorted(prices, low, "left")), int(np.searchsorted(prices, high, "right")))


def _count_between(prices: npt.NDArray[np.int32], cents: tuple[int, int]) -> int:
    return int(np.count_nonzero((prices >= max(0, cents[0])) & (prices <= cents[1])))
