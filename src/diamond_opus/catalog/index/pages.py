"""Which stones stand on a page: the first matching rows of each segment in the order asked for, merged."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from diamond_opus.catalog.index.bitmaps import Bits, Mask, count, unpack
from diamond_opus.catalog.index.columns import UNKNOWN
from diamond_opus.catalog.index.segment import Order, Segment

Rows = NDArray[np.int32]

#: Up to so many matches are sorted themselves (2 ms); more of them are met soon on a walk along the order.
_FEW = 20_000
_FIRST_STEP = 2_048


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: behind the stone with this key (None: not known) and id."""

    key: int | None
    id: UUID


@dataclass(frozen=True, slots=True)
class Sequencing:
    """By which column, in which direction, and behind which stone. Unknown keys stand last in both directions."""

    column: str
    descending: bool
    after: Place | None = None


def first_ids(
    parts: Sequence[tuple[Segment, Bits]], sequencing: Sequencing, *, skip: int, limit: int
) -> list[UUID]:
    """Ids of the matching stones in order, without the first ``skip``, at most ``limit``."""
    found = [(segment, _first_rows(segment, bits, sequencing, skip + limit)) for segment, bits in parts]
    keys = np.concatenate([segment.columns.numbers[sequencing.column][rows] for segment, rows in found])
    high = np.concatenate([segment.columns.high[rows] for segment, rows in found])
    low = np.concatenate([segment.columns.low[rows] for segment, rows in found])
    merged = np.concatenate(_runs(_split(np.lexsort((low, high, keys)), keys), sequencing))
    chosen = merged[skip : skip + limit].tolist()
    return [UUID(int=(int(high[at]) << 64) | int(low[at])) for at in chosen]


def _first_rows(segment: Segment, bits: Bits, sequencing: Sequencing, wanted: int) -> Rows:
    """The first ``wanted`` matching rows of the segment, in order."""
    matches = unpack(bits, len(segment))
    if count(bits) <= _FEW:
        order = _sort(segment, np.flatnonzero(matches), sequencing.column)
    else:
        order = segment.orders[sequencing.column]
    found: list[Rows] = [np.empty(0, np.int32)]
    for run in _behind(segment, _runs(order, sequencing), sequencing):
        found.append(_take_matching(run, matches, wanted))
        wanted -= len(found[-1])
    return np.concatenate(found)


def _take_matching(run: Rows, matches: Mask, wanted: int) -> Rows:
    """The first ``wanted`` rows of the run that match, in steps that double."""
    found: list[Rows] = [np.empty(0, np.int32)]
    start, step = 0, max(_FIRST_STEP, wanted)
    while start < len(run) and wanted > 0:
        rows = run[start : start + step]
        found.append(rows[matches[rows]][:wanted])
        wanted -= len(found[-1])
        start, step = start + step, step * 2
    return np.concatenate(found)


def _sort(segment: Segment, rows: NDArray[np.intp], column: str) -> Order:
    """Rows come in the order of their ids, so that a stable sort by the key is by key and id."""
    keys = segment.columns.numbers[column][rows]
    order = np.argsort(keys, kind="stable")
    known = _split(order, keys)
    return Order(rows[known.known].astype(np.int32), rows[known.unknown].astype(np.int32))


def _split(order: NDArray[np.intp], keys: NDArray[np.signedinteger]) -> Order:
    """An ascending order, whose unknown keys stand first, in two."""
    unknown = int((keys == UNKNOWN).sum())
    return Order(order[unknown:].astype(np.int32), order[:unknown].astype(np.int32))


def _runs(order: Order, sequencing: Sequencing) -> list[Rows]:
    """What is known, then what is not, each in the direction asked for."""
    runs = [order.known, order.unknown]
    return [run[::-1] for run in runs] if sequencing.descending else runs


def _behind(segment: Segment, runs: list[Rows], sequencing: Sequencing) -> list[Rows]:
    """The runs without what stands before, or at, the place to begin behind."""
    after = sequencing.after
    if after is None:
        return runs
    known, unknown = runs
    if after.key is not None:
        return [known[_position(segment, known, sequencing, after) :], unknown]
    return [unknown[_position(segment, unknown, sequencing, after) :]]


def _position(segment: Segment, run: Rows, sequencing: Sequencing, after: Place) -> int:
    """How many rows of the run are not behind the place: a binary search, 20 looks at a million rows."""
    keys, mark = segment.columns.numbers[sequencing.column], (after.key, after.id.bytes)

    def is_behind(row: int) -> bool:
        here = (None if after.key is None else int(keys[row]), segment.columns.id_of(row))
        if here[0] == mark[0]:
            return here[1] < mark[1] if sequencing.descending else here[1] > mark[1]
        return (here[0] < mark[0]) is sequencing.descending  # type: ignore[operator]  # both are known

    return bisect_left(run, True, key=is_behind)
