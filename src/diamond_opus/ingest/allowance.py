"""How much a partition may cost: a supplier whose pages never end must not be read for ever, nor fill the memory."""

from diamond_opus.domain.errors import Fatal

#: Rows read for one stone that is counted. A list that stands still costs 2.3, one of one-row pages 8.4, one that is
#: shuffled before every page and gives one to three rows of it 16: twice that is no honest list any more.
_ROWS_A_STONE = 32
#: Whatever a range counts, its passes may look so often at its end; an endless one costs more before it is split.
_ROWS_A_RANGE = 150
#: Stones found for one that is counted: the worst count that was ever seen told 58 % of what was there.
_FOUND_A_STONE = 4
_FOUND_AT_LEAST = 1_000


class Endless(Exception):
    """More was read than the counts allow; they may be old."""


class Allowance:
    """Grows with every range that is counted, and is spent by its pages.

    ``spend`` raises Endless when it is used up; whoever counts the range anew and finds it grown may ``expect`` the
    difference and go on, and calls ``exhausted`` otherwise.
    """

    def __init__(self) -> None:
        self._counted = 0
        self._ranges = 0
        self._rows = 0
        self._found = 0

    def expect(self, counted: int, *, ranges: int = 0) -> None:
        self._counted += max(0, counted)
        self._ranges += ranges

    def spend(self, *, rows: int, found: int) -> None:
        """A page came: its rows, at least one, and how many of its stones were new."""
        self._rows += max(1, rows)
        self._found += found
        if self._rows > _ROWS_A_STONE * self._counted + _ROWS_A_RANGE * self._ranges:
            raise Endless
        if self._found > _FOUND_A_STONE * self._counted + _FOUND_AT_LEAST:
            raise Endless

    def exhausted(self, subject: str) -> Fatal:
        return Fatal(
            f"{subject} do not end: {self._rows} rows with {self._found} stones came for {self._counted} that are "
            "counted; ask the supplier, and retry when its pages and counts agree"
        )
