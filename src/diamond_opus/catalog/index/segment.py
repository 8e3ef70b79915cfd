"""A part of the catalogue that never changes: its columns, a set of rows for each value, and its orders.

Changes make new segments and take rows out of old ones (``live`` in catalog_index.py), as full-text indexes do it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diamond_opus.catalog.facets import CARAT_EDGES, PRICE_EDGES
from diamond_opus.catalog.index.bitmaps import Bits, nothing, pack
from diamond_opus.catalog.index.columns import FACTS, TEXTS, UNKNOWN, Columns
from diamond_opus.catalog.sorts import SORTS

_SORTED = frozenset(sort.column for sort in SORTS.values() if sort.column)


@dataclass(frozen=True, slots=True)
class Order:
    """Rows by a key and, where it is the same, by id; rows without a key stand apart, by id."""

    known: NDArray[np.int32]
    unknown: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Segment:
    """``values[column][code]`` are the rows that have a text, ``facts`` those of which a fact is true.

    ``buckets`` are the rows of each bar of a histogram.
    """

    columns: Columns
    values: Mapping[str, Mapping[int, Bits]]
    facts: Mapping[str, Bits]
    buckets: Mapping[str, list[Bits]]
    orders: Mapping[str, Order]

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def none(self) -> Bits:
        return nothing(len(self))


def build(columns: Columns) -> Segment:
    """About 1.5 s for a million stones, in numpy: it may run in a thread."""
    return Segment(
        columns,
        {name: _by_value(columns.texts[name]) for name in TEXTS},
        {name: pack((columns.facts & (1 << bit)) != 0) for name, bit in FACTS.items()},
        {
            "price": _by_bucket(columns.numbers["price_model_price"], PRICE_EDGES),
            "carats": _by_bucket(columns.numbers["carats"], CARAT_EDGES),
        },
        {name: _order(columns.numbers[name]) for name in _SORTED},
    )


def _by_value(codes: NDArray[np.uint16]) -> dict[int, Bits]:
    return {code: pack(codes == code) for code in np.unique(codes).tolist()}


def _by_bucket(numbers: NDArray[np.signedinteger], edges: tuple[int, ...]) -> list[Bits]:
    buckets = np.searchsorted(np.array(edges), numbers, "right") - 1
    return [pack(buckets == bucket) for bucket in range(len(edges))]


def _order(keys: NDArray[np.signedinteger]) -> Order:
    """Rows are in the order of their ids, so that a stable sort by the key alone is by key and id."""
    order = np.argsort(keys, kind="stable").astype(np.int32)
    unknown = int((keys == UNKNOWN).sum())  # the smallest key: they stand first
    return Order(order[unknown:], order[:unknown])
