"""What the index knows of a stone: texts as codes, facts as bits, numbers as whole numbers, -1 where unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64] | NDArray[np.int32] | NDArray[np.int16]
Codes = NDArray[np.uint16]

UNKNOWN = -1

#: Columns of text with few values; a search may ask for any of them.
TEXTS: Sequence[str] = (
    "shape", "color", "clarity", "cut", "polish", "symmetry", "fluorescence", "certificate_lab", "availability",
    "feed", "fancy_color", "fancy_intensity",
)  # fmt: skip

#: Bits of the column ``facts``: true and, where it may be unknown, false. In the order of queries.sql.
FACTS: Mapping[str, int] = {
    "lab_grown": 0, "treated": 1, "has_image": 2, "has_video": 3, "eye_clean": 4, "not eye_clean": 5,
    "returnable": 6, "not returnable": 7,
}  # fmt: skip

#: Whole numbers and how they are kept; money in cents, weights and percentages in hundredths, the ratio in thousandths,
#: times in microseconds since 2000.
NUMBERS: Mapping[str, type[np.signedinteger]] = {
    "created_at": np.int64,
    "price_model_price": np.int64,
    "feed_price": np.int64,
    "price_per_carat": np.int64,
    "carats": np.int32,
    "ratio": np.int32,
    "table_percent": np.int32,
    "depth_percent": np.int32,
    "delivery_days_max": np.int32,
    "color_rank": np.int16,
    "clarity_rank": np.int16,
    "rating": np.int16,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of stones, each as two big-endian words."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.high)

    def id_of(self, row: int) -> bytes:
        return int(self.high[row]).to_bytes(8) + int(self.low[row]).to_bytes(8)


@dataclass(frozen=True, slots=True)
class Columns(Ids):
    """Some stones in the order of their ids, a value of each column for every one.

    An id is its 16 bytes (``S16`` would drop zeros at the end, so they stand in two big-endian words, ``high``
    and ``low``).
    """

    texts: dict[str, Codes]
    facts: NDArray[np.int16]
    numbers: dict[str, Numbers]

    def find(self, ids: Ids) -> NDArray[np.intp]:
        """The rows of those of the ids that are here."""
        first = np.searchsorted(self.high, ids.high, "left")
        last = np.searchsorted(self.high, ids.high, "right")
        # Two ids with one first half are a rarity: as many looks as the largest such group has members.
        found = [np.empty(0, np.intp)]
        for step in range(int((last - first).max(initial=0))):
            rows = (first + step)[first + step < last]
            found.append(rows[self.low[rows] == ids.low[first + step < last]])
        return np.concatenate(found)


def join(parts: Sequence[Columns]) -> Columns:
    """All stones of several parts, in the order of their ids. The parts are used up, column by column, so that a
    million stones are never held twice.
    """
    high = np.concatenate([part.high for part in parts])
    low = np.concatenate([part.low for part in parts])
    order = np.lexsort((low, high)).astype(np.int32)
    return Columns(
        high[order],
        low[order],
        {name: np.concatenate([part.texts.pop(name) for part in parts])[order] for name in TEXTS},
        np.concatenate([part.facts for part in parts])[order],
        {name: np.concatenate([part.numbers.pop(name) for part in parts])[order] for name in NUMBERS},
    )


def take(columns: Columns, rows: NDArray[np.intp]) -> Columns:
    """Some rows, in their order."""
    return Columns(
        columns.high[rows],
        columns.low[rows],
        {name: values[rows] for name, values in columns.texts.items()},
        columns.facts[rows],
        {name: values[rows] for name, values in columns.numbers.items()},
    )


class Words:
    """The texts behind the codes of every column; a code never changes its meaning."""

    def __init__(self) -> None:
        self._codes: dict[str, dict[int, int]] = {name: {} for name in TEXTS}
        self._texts: dict[str, list[str | None]] = {name: [] for name in TEXTS}

    def learn(self, column: str, digest: int, text: str | None) -> None:
        """A digest is what the database makes of a text; 0 stands for none."""
        if digest not in self._codes[column]:
            self._codes[column][digest] = len(self._texts[column])
            self._texts[column].append(text)

    def unknown(self, column: str, digests: NDArray[np.int64]) -> NDArray[np.int64]:
        known = self._codes[column]
        return np.array([digest for digest in digests.tolist() if digest not in known], np.int64)

    def encode(self, column: str, digests: NDArray[np.int64]) -> Codes:
        """The codes of known digests."""
        distinct, positions = np.unique(digests, return_inverse=True)
        known = self._codes[column]
        codes = np.array([known[digest] for digest in distinct.tolist()], np.uint16)
        return codes[positions]

    def text(self, column: str, code: int) -> str | None:
        return self._texts[column][code]

    def codes(self, column: str, texts: Sequence[str]) -> list[int]:
        """Those of the texts that any stone ever had."""
        wanted = set(texts)
        return [code for code, text in enumerate(self._texts[column]) if text in wanted]
