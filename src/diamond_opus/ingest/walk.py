"""How one range is read so that nothing is lost while the inventory moves: which page next, and when it is done.

The supplier's list shifts under a reader: a stone removed before the reader's place moves an unread one past it, and
a count that also fell by one says nothing. So each page starts with rows already read; when they are not there, the
list has shifted, and the walk steps back until it meets rows it knows. Only an empty page at the very place where
the next row should be is the end. Passes are repeated until one finds nothing new.

Pure: it is told what a page held and says what to ask next.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

#: How often a page cut down to its overlap is asked again before the rows behind it are taken on trust. Half as often
#: the next time: a supplier whose pages are that short all along must not cost sixteen requests a row.
_MOST_PROBES = 8


@dataclass(frozen=True, slots=True)
class Ask:
    """Read ``limit`` rows from ``offset``; the first ``overlap`` of them should be known already."""

    offset: int
    limit: int
    overlap: int


class TooDeep(Exception):
    """The next page would lie deeper than allowed."""


class Pass:
    """One walk from the first row of a range to its end.

    Rows are identified by whatever is handed in, the same object for the same stone; a row without identity is
    None and proves nothing. Raises TooDeep from ``next_ask`` when the place passes ``max_offset``.
    """

    def __init__(self, *, page_limit: int, overlap: int, max_offset: int | None) -> None:
        if not 0 < overlap < page_limit:
            raise ValueError(f"overlap {overlap} must be between 1 and the page limit {page_limit}")
        self._limit = page_limit
        self._overlap = overlap
        self._max_offset = max_offset
        self._place = 0  # offset of the first row not read yet
        self._read: set[Hashable] = set()
        self._back = 0  # how far the last step back went; 0 while the rows join
        self._probes = 0  # looks at the place itself since it last moved
        self._patience = _MOST_PROBES
        self._at_end = False  # the last page held known rows only: the next one may be the end
        self.is_over = False
        self.steps_back = 0

    @property
    def place(self) -> int:
        """How many rows have been read without a gap: the offset of the next one."""
        return self._place

    def next_ask(self) -> Ask:
        """The page to read now."""
        overlap = 0 if self._at_end else min(self._overlap, self._place)
        offset = max(0, self._place - overlap)
        if self._max_offset is not None and offset > self._max_offset:
            raise TooDeep(f"offset {offset} is deeper than {self._max_offset}")
        return Ask(offset=offset, limit=self._limit, overlap=overlap)

    def take(self, ask: Ask, rows: Sequence[Hashable | None]) -> None:
        """Learn what the page held, in its order."""
        joins = self._joins(ask, rows)
        self._read.update(row for row in rows if row is not None)
        if not joins:
            self._step_back(ask)
        elif not rows:
            self.is_over = True
        else:
            self._go_on(reached=ask.offset + len(rows))

    def _go_on(self, *, reached: int) -> None:
        self._back = 0
        if self._at_end and self._probes < self._patience:
            # Not the end after all, but nothing joined these rows to the known ones: come again with overlap.
            self._at_end = False
            self._probes += 1
            return
        if self._at_end:
            self._patience = max(1, self._patience // 2)
        self._at_end = reached <= self._place
        if not self._at_end:
            self._probes = 0
            self._place = reached

    def _joins(self, ask: Ask, rows: Sequence[Hashable | None]) -> bool:
        """Whether the page continues what is known: its first rows were all read in this pass.

        Rows without identity are passed over; at least one known row must stand among the overlap, unless nothing
        had to overlap at all.
        """
        if ask.overlap == 0:
            return True
        head = [row for row in rows[: ask.overlap] if row is not None]
        if not head and len(rows) >= ask.overlap:
            return True  # nothing but rows without identity: no evidence against it, and the next pass looks again
        return bool(head) and all(row in self._read for row in head)

    def _step_back(self, ask: Ask) -> None:
        self.steps_back += 1
        self._at_end = False
        self._back = max(2 * self._back, self._limit - self._overlap)
        self._place = max(0, ask.offset + ask.overlap - self._back)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far the stones found may differ from a fresh count: a share of it, and a few more."""

    share_e4: int = 50
    extra: int = 2

    def accepts(self, *, found: int, counted: int) -> bool:
        """
        >>> Tolerance().accepts(found=993, counted=1000)
        True
        >>> Tolerance().accepts(found=992, counted=1000)
        False
        """
        return abs(found - counted) * 10_000 <= counted * self.share_e4 + self.extra * 10_000
