"""Ordered answers to a filter, remembered between pages and patched, not remade, when stones move.

A client walks a range page by page; only its first page filters and sorts. Each remembered selection knows
the event it is up to date with; the stones touched since are taken out and put back where they now belong.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from diamond_opus.simulator import vocabulary as words
from diamond_opus.simulator.columns import Columns, Rows
from diamond_opus.simulator.filters import Filter
from diamond_opus.simulator.inventory import Inventory
from diamond_opus.simulator.price_index import PriceIndex

Keys = npt.NDArray[Any]

#: How many row numbers all remembered selections may hold together (16 bytes each).
_MAX_REMEMBERED_ROWS = 4_000_000
_MAX_REMEMBERED = 512

#: What an inverted whole-dollar range answers instead of nothing: "about 30 odd rows" (seen by one client).
_ODD_ROWS = 30


@dataclass(slots=True)
class Selection:
    """Rows in order with their sort keys; equal keys are in row order here, and may be served in another."""

    rows: Rows
    keys: Keys
    version: int


def _rank(column: str, *, nulls: int = words.NULL) -> Callable[[Columns, Rows], Keys]:
    return lambda columns, rows: np.where(
        getattr(columns, column)[rows] == words.NULL, nulls, getattr(columns, column)[rows].astype(np.int64)
    )


_KEYS: Mapping[str, Callable[[Columns, Rows], Keys]] = {
    "none": lambda _, rows: rows,
    "insert": lambda _, rows: rows,
    "createdAt": lambda columns, rows: columns.created_ms[rows],
    "price": lambda columns, rows: columns.price_cents[rows].astype(np.int64),
    "discount": lambda columns, rows: columns.discount[rows].astype(np.int64),
    "size": lambda columns, rows: columns.carats_h[rows].astype(np.int64),
    "price_per_carat": lambda columns, rows: columns.price_cents[rows] / columns.carats_h[rows],
    "color": _rank("color"),
    "clarity": _rank("clarity"),
    "cut": _rank("cut"),
}


class Selections:
    """Finds, counts and remembers what filters select."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._index = PriceIndex(inventory)
        self._remembered: OrderedDict[tuple[bytes, str], Selection] = OrderedDict()
        self._remembered_rows = 0

    def select(self, filter_: Filter, order: str, *, descending: bool) -> Selection:
        """The stones a filter selects, now, in the order asked ("createdAt", "price", ...)."""
        if filter_.named is not None or filter_.is_inverted:
            return self._sort(self._find(filter_), order, descending=descending)
        name = (filter_.key, f"{order} {descending}")
        known = self._remembered.pop(name, None)
        if known is not None:
            self._remembered_rows -= len(known.rows)
            selection = self._brought_up_to_date(known, filter_, order, descending=descending)
        else:
            selection = self._sort(self._find(filter_), order, descending=descending)
        self._remember(name, selection)
        return selection

    def count(self, filter_: Filter) -> int:
        if filter_.named is None and not filter_.is_inverted and not filter_.predicates:
            cents = filter_.cents or (0, 2_147_483_647)
            return self._index.count(lab_grown=bool(filter_.lab_grown), cents=cents)
        for name, known in self._remembered.items():
            if name[0] == filter_.key and known.version == self._inventory.log.version:
                return len(known.rows)
        return len(self._find(filter_))

    def _find(self, filter_: Filter) -> Rows:
        """Matching rows, ascending."""
        columns = self._inventory.columns
        if filter_.is_inverted:
            return self._odd_rows(filter_)
        if filter_.named is not None:
            return filter_.matches(columns, np.unique(np.array(filter_.named, dtype=np.int64)))
        candidates = self._index.candidates(lab_grown=bool(filter_.lab_grown), cents=filter_.cents)
        return np.sort(filter_.matches(columns, candidates))

    def _odd_rows(self, filter_: Filter) -> Rows:
        rng = np.random.default_rng(list(filter_.key))
        drawn = np.unique(rng.integers(0, max(1, self._inventory.born), size=_ODD_ROWS * 8))
        columns = self._inventory.columns
        fitting = drawn[columns.present[drawn] & (columns.lab_grown[drawn] == filter_.lab_grown)]
        return np.sort(rng.permutation(fitting)[:_ODD_ROWS])

    def _sort(self, rows: Rows, order: str, *, descending: bool) -> Selection:
        keys = self._keys(rows, order, descending=descending)
        places = np.argsort(keys, kind="stable")
        return Selection(rows[places], keys[places], self._inventory.log.version)

    def _keys(self, rows: Rows, order: str, *, descending: bool) -> Keys:
        keys = _KEYS[order](self._inventory.columns, rows)
        return -keys if descending else keys

    def _brought_up_to_date(
        self, known: Selection, filter_: Filter, order: str, *, descending: bool
    ) -> Selection:
        log = self._inventory.log
        if known.version == log.version:
            return known
        touched = log.touched_since(known.version)
        if len(touched) > 64 + len(known.rows) // 20:
            return self._sort(self._find(filter_), order, descending=descending)
        kept = ~np.isin(known.rows, touched)
        rows, keys = known.rows[kept], known.keys[kept]
        joining = filter_.matches(self._inventory.columns, touched)
        if len(joining):
            joining_keys = self._keys(joining, order, descending=descending)
            places = [_place(rows, keys, row, key) for row, key in zip(joining, joining_keys, strict=True)]
            by_place = np.lexsort((joining, joining_keys))
            where = np.array(places)[by_place]
            rows = np.insert(rows, where, joining[by_place])
            keys = np.insert(keys, where, joining_keys[by_place])
        return Selection(rows, keys, log.version)

    def _remember(self, name: tuple[bytes, str], selection: Selection) -> None:
        self._remembered[name] = selection
        self._remembered_rows += len(selection.rows)
        while len(self._remembered) > 1 and (
            self._remembered_rows > _MAX_REMEMBERED_ROWS or len(self._remembered) > _MAX_REMEMBERED
        ):
            _, forgotten = self._remembered.popitem(last=False)
            self._remembered_rows -= len(forgotten.rows)


def _place(rows: Rows, keys: Keys, row: np.int64, key: Any) -> int:
    """Where a row belongs: after smaller keys, and among equal keys after smaller rows."""
    start, stop = np.searchsorted(keys, key, "left"), np.searchsorted(keys, key, "right")
    return int(start + np.searchsorted(rows[start:stop], row))
