"""An ordered list of stones that stays right while stones move, without being made anew each time.

The rows are sorted once. What changes afterwards is kept aside: the places of rows that are gone, and rows that joined
with the places where they belong. A page is cut out of both together. When much is aside, it is worked in.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from diamond_opus.simulator.columns import Rows

Keys = npt.NDArray[Any]

_MOST_ASIDE = 512

_NONE: Rows = np.empty(0, dtype=np.int64)

#: From this share of the inventory on, a selection remembers where each row stands instead of searching for it.
_MAP_SHARE = 1 / 8


class Selection:
    """Rows by key, and by row number among equal keys, as of event ``version``."""

    def __init__(self, rows: Rows, keys: Keys, version: int) -> None:
        """``rows`` and ``keys`` are sorted already."""
        self.version = version
        self._rows, self._keys = rows, keys
        self._gone: Rows = _NONE
        self._joined_rows: Rows = _NONE
        self._joined_keys: Keys = keys[:0]
        self._joined_places: Rows = _NONE
        self._places: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self._rows) - len(self._gone) + len(self._joined_rows)

    @property
    def weight(self) -> int:
        """About how many numbers it holds in memory."""
        return 2 * len(self._rows) + (0 if self._places is None else len(self._places) // 2)

    def window(self, start: int, stop: int) -> tuple[Rows, Keys]:
        """Rows ``start`` up to ``stop``, with their keys; less where there are no more."""
        stop = min(stop, len(self))
        if start >= stop:
            return self._rows[:0], self._keys[:0]
        ranks = (
            self._joined_places
            - np.searchsorted(self._gone, self._joined_places)
            + np.arange(len(self._joined_rows))
        )
        first, last = (int(place) for place in np.searchsorted(ranks, (start, stop)))
        rows, keys = self._staying(start - first, stop - last)
        if first == last:
            return rows, keys
        where = ranks[first:last] - start - np.arange(last - first)
        return (
            np.insert(rows, where, self._joined_rows[first:last]),
            np.insert(keys, where, self._joined_keys[first:last]),
        )

    def patch(self, touched: Rows, joining: Rows, joining_keys: Keys, version: int, capacity: int) -> None:
        """Take ``touched`` out, wherever they are, and put ``joining`` (some of them) where their keys belong now.

        ``capacity`` is more than the greatest row number there is.
        """
        self.version = version
        self._gone = np.union1d(self._gone, self._places_of(touched, capacity))
        kept = ~np.isin(self._joined_rows, touched)
        rows = np.concatenate([self._joined_rows[kept], joining])
        keys = np.concatenate([self._joined_keys[kept], joining_keys])
        order = np.lexsort((rows, keys))
        self._joined_rows, self._joined_keys = rows[order], keys[order]
        self._joined_places = np.array(
            [self._place(row, key) for row, key in zip(self._joined_rows, self._joined_keys, strict=True)],
            dtype=np.int64,
        )
        if len(self._gone) + len(self._joined_rows) > _MOST_ASIDE:
            self._work_in()

    def _work_in(self) -> None:
        """Make what is aside part of the sorted rows."""
        rows, keys = self.window(0, len(self))
        self._rows, self._keys = rows, keys
        self._gone = self._joined_rows = self._joined_places = _NONE
        self._joined_keys = keys[:0]
        self._places = None

    def _staying(self, start: int, stop: int) -> tuple[Rows, Keys]:
        """Of the rows sorted first, those not gone: ``start`` up to ``stop``."""
        offsets = self._gone - np.arange(len(self._gone))
        first = start + int(np.searchsorted(offsets, start, "right"))
        last = stop + int(np.searchsorted(offsets, stop, "right"))
        gone = self._gone[(self._gone >= first) & (self._gone < last)] - first
        return np.delete(self._rows[first:last], gone)[: stop - start], np.delete(
            self._keys[first:last], gone
        )[: stop - start]

    def _places_of(self, rows: Rows, capacity: int) -> Rows:
        """Where those of ``rows`` stand that were there from the first."""
        if len(self._rows) < capacity * _MAP_SHARE:
            return np.flatnonzero(np.isin(self._rows, rows))
        if self._places is None or len(self._places) < capacity:
            self._places = np.full(capacity, -1, dtype=np.int32)
            self._places[self._rows] = np.arange(len(self._rows), dtype=np.int32)
        places = self._places[rows]
        return places[places >= 0].astype(np.int64)

    def _place(self, row: np.int64, key: Any) -> int:
        """Where a row belongs among those sorted first: after smaller keys, then after smaller rows."""
        start, stop = np.searchsorted(self._keys, key, "left"), np.searchsorted(self._keys, key, "right")
        return int(start + np.searchsorted(self._rows[start:stop], row))
