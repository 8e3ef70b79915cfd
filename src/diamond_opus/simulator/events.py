"""The history of the inventory: an event counter that is also the version every index is measured against."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from diamond_opus.simulator.columns import Rows


class EventKind(IntEnum):
    """What can befall a stone; the names appear in lower case at the control address."""

    REPRICED = 0
    REMOVED = 1
    INSERTED = 2
    RELISTED = 3
    AVAILABILITY = 4


@dataclass(frozen=True, slots=True)
class Event:
    """``before`` and ``after`` are cents (REPRICED) or availability codes (AVAILABILITY), else 0."""

    number: int
    at_ms: int
    kind: EventKind
    row: int
    before: int
    after: int


class EventLog:
    """Append-only and packed (33 bytes an event). The first event has number 1; 0 is the beginning."""

    def __init__(self) -> None:
        self._at = array("q")
        self._kind = array("b")
        self._row = array("q")
        self._before = array("q")
        self._after = array("q")

    @property
    def version(self) -> int:
        """The number of the last event."""
        return len(self._row)

    def append(self, at_ms: int, kind: EventKind, row: int, before: int = 0, after: int = 0) -> int:
        self._at.append(at_ms)
        self._kind.append(kind)
        self._row.append(row)
        self._before.append(before)
        self._after.append(after)
        return self.version

    def touched_since(self, version: int) -> Rows:
        """The distinct rows of all later events, ascending."""
        return np.unique(np.array(self._row[version:], dtype=np.int64))

    def at_ms(self, number: int) -> int:
        return self._at[number - 1]

    def since(self, version: int) -> Iterator[Event]:
        for index in range(max(0, version), self.version):
            yield Event(
                index + 1,
                self._at[index],
                EventKind(self._kind[index]),
                self._row[index],
                self._before[index],
                self._after[index],
            )
