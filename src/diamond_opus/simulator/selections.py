"""Ordered answers to a filter, remembered between pages and patched, not remade, when stones move.

A client walks a range page by page; only its first page filters and sorts. Each remembered selection knows
the event it is up to date with; the stones touched since are taken out and put back where they now belong.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

import numpy as np

from diamond_opus.simulator import vocabulary as words
from diamond_opus.simulator.columns import Columns, Rows
from diamond_opus.simulator.filters import Filter
from diamond_opus.simulator.inventory import Inventory
from diamond_opus.simulator.price_index import PriceIndex
from diamond_opus.simulator.selection import Keys, Selection

#: How many numbers (of 8 bytes) all remembered selections may hold together.
_MAX_WEIGHT = 8_000_000
_MAX_REMEMBERED = 512

#: What an inverted whole-dollar range answers instead of nothing: "about 30 odd rows" (seen by one client).
_ODD_ROWS = 30


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
        self._weight = 0

    def select(self, filter_: Filter, order: str, *, descending: bool) -> Selection:
        """The stones a filter selects, now, in the order asked ("createdAt", "price", ...)."""
        if filter_.named is not None or filter_.is_inverted:
            return self._sort(self._find(filter_), order, descending=descending)
        name = (filter_.key, f"{order} {descending}")
        known = self._remembered.pop(name, None)
        if known is not None:
            self._weight -= known.weight
            selection = self._bring_up_to_date(known, filter_, order, descending=descending)
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
                return len(known)
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

    def _bring_up_to_date(
        self, known: Selection, filter_: Filter, order: str, *, descending: bool
    ) -> Selection:
        log, columns = self._inventory.log, self._inventory.columns
        if known.version == log.version:
            return known
        touched = log.touched_since(known.version)
        if len(touched) > 64 + len(known) // 20:
            return self._sort(self._find(filter_), order, descending=descending)
        joining = filter_.matches(columns, touched)
        keys = self._keys(joining, order, descending=descending)
        known.patch(touched, joining, keys, log.version, columns.capacity)
        return known

    def _remember(self, name: tuple[bytes, str], selection: Selection) -> None:
        self._remembered[name] = selection
        self._weight += selection.weight
        while len(self._remembered) > 1 and (
            self._weight > _MAX_WEIGHT or len(self._remembered) > _MAX_REMEMBERED
        ):
            _, forgotten = self._remembered.popitem(last=False)
            self._weight -= forgotten.weight
