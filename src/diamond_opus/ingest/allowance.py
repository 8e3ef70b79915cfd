"""How much a partition may cost: a supplier whose pages never end must not be read for ever, nor fill the memory."""

from diamond_opus.domain.errors import Fatal
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import StoneSource

#: Rows read for one stone that is counted. A list that stands still costs 2.3, one of one-row pages 8.4, one that is
#: shuffled before every page and gives one to three rows of it 16: twice that is no honest list any more.
_ROWS_A_STONE = 32
#: Whatever a range counts, its passes may look so often at its end; an endless one costs more before it is split.
_ROWS_A_RANGE = 150
#: Stones found for one that is counted: the worst count that was ever seen told 58 % of what was there.
_FOUND_A_STONE = 4
_FOUND_AT_LEAST = 1_000


class Allowance:
    """Grows by the counts with which an attempt begins, not by those of the parts they are cut into: a supplier that
    ignores a filter counts everything in every part.
    """

    def __init__(self, source: StoneSource) -> None:
        self._source = source
        self._whole: Selection | None = None
        self._counted_of_whole = 0
        self._counted = 0
        self._ranges = 0
        self._rows = 0
        self._found = 0

    def begin(self, whole: Selection, counted: int) -> None:
        """What is read from here on belongs to ``whole``, until the next one."""
        self._whole, self._counted_of_whole = whole, counted
        self._counted += counted

    def begin_range(self) -> None:
        self._ranges += 1

    async def spend(self, *, rows: int, found: int) -> None:
        """A page came: its rows, at least one, and how many of its stones were new. Raises Fatal when it is too much.

        Before that, what is being read is counted anew: it may have grown.
        """
        self._rows += max(1, rows)
        self._found += found
        if self._is_spent() and self._whole is not None:
            counted = await self._source.count(self._whole)
            self._counted += max(0, counted - self._counted_of_whole)
            self._counted_of_whole = max(counted, self._counted_of_whole)
            if self._is_spent():
                raise Fatal(
                    f"{self._source.name}: the pages of {self._whole} do not end: {self._rows} rows with {self._found} "
                    f"stones came for {self._counted} that are counted; ask the supplier, and retry when its pages and "
                    "counts agree"
                )

    def _is_spent(self) -> bool:
        return (
            self._rows > _ROWS_A_STONE * self._counted + _ROWS_A_RANGE * self._ranges
            or self._found > _FOUND_A_STONE * self._counted + _FOUND_AT_LEAST
        )
