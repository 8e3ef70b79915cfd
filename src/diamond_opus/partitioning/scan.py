"""Which counts to ask so that an inventory can be cut evenly: the heatmap, without any I/O of its own.

A scan first asks each type's count without a price filter. From those follow the number of partitions and
with it how many stones lie between two cuts. Then it asks a first grid of ranges, and bisects those in which
a cut has to lie, the most crowded first, until every cut can be placed well enough or its counts are spent.
A range that one bisection would leave too big is bisected up to three times at once, as the halves in between
need no count of their own. Every number is the supplier's: nothing is interpolated. A type that one partition
can hold needs its total only.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from diamond_opus.domain.selection import Selection
from diamond_opus.partitioning.density import DensityCell, DensityMap
from diamond_opus.partitioning.plan import crowded_cells, share_partitions
from diamond_opus.partitioning.ranges import HIGHEST_PRICE, Range, cut, parts_for, ranges_between
from diamond_opus.partitioning.settings import HeatmapSettings

# What one cut aims at, in partitions. More parts at once would rely on stones being spread evenly.
_WANTED_LOAD = 0.5
_MOST_PARTS = 8


class DensityScan:
    """Ask what it wants, answer it, until it wants nothing more; then take the maps.

    With ``updated_from`` it counts only what changed since.

    >>> scan = DensityScan(HeatmapSettings(), types=[False])
    >>> while asks := scan.wanted():
    ...     scan.answer({selection: 10 * (selection.price_to or 900) for selection in asks})
    >>> scan.maps()[0].total, scan.calls(lab_grown=False)
    (9000, 13)
    """

    def __init__(
        self,
        settings: HeatmapSettings,
        *,
        types: Sequence[bool] = (False, True),
        updated_from: datetime | None = None,
    ) -> None:
        """``types`` are the values of ``lab_grown`` to scan, natural and lab-grown unless told otherwise."""
        self._settings = settings
        self._updated_from = updated_from
        self._cells: dict[bool, dict[int, DensityCell]] = {lab_grown: {} for lab_grown in types}
        self._totals: dict[bool, int] = {}
        self._shares: dict[bool, int] = {}
        self._calls = dict.fromkeys(types, 0)
        self._pending: set[Selection] = set()
        for lab_grown in types:
            self._ask(lab_grown, [(0, None)])

    def wanted(self) -> list[Selection]:
        """The selections to count next, in any order or at once; empty when the scan is done."""
        return sorted(self._pending, key=lambda selection: (selection.lab_grown, selection.price_from))

    def answer(self, counts: Mapping[Selection, int]) -> None:
        """Take counts of wanted selections; what is not answered stays wanted.

        Raises ValueError for a selection that was not wanted and for a negative count.
        """
        for selection, count in counts.items():
            if selection not in self._pending or count < 0:
                raise ValueError(f"{selection}: the answer {count} is negative or was not asked for")
        for selection, count in counts.items():
            self._pending.remove(selection)
            cell = DensityCell(selection.price_from, selection.price_to, count)
            self._cells[selection.lab_grown][selection.price_from] = cell
            self._totals.setdefault(selection.lab_grown, count)
        if not self._pending:
            self._continue()

    def calls(self, *, lab_grown: bool) -> int:
        """How many counts were asked of this type."""
        return self._calls[lab_grown]

    def maps(self) -> list[DensityMap]:
        """One map a type. Raises ValueError while counts are still wanted."""
        if self._pending:
            raise ValueError(f"the scan still wants {len(self._pending)} counts")
        return [
            DensityMap(lab_grown, self._totals[lab_grown], tuple(cells[start] for start in sorted(cells)))
            for lab_grown, cells in self._cells.items()
        ]

    def _continue(self) -> None:
        if self._shares:
            self._refine()
            return
        shares = share_partitions([self._totals[lab_grown] for lab_grown in self._cells], self._settings)
        self._shares = dict(zip(self._cells, shares, strict=True))
        crowded = [lab_grown for lab_grown, share in self._shares.items() if share > 1]
        if crowded:
            ranges = self._first_ranges(self._calls_left() // len(crowded))
            for lab_grown in crowded if ranges else ():
                self._cells[lab_grown].clear()
                self._ask(lab_grown, ranges)

    def _first_ranges(self, most: int) -> list[Range]:
        """The settings' first ranges; when there are too many, neighbours are joined until there are not."""
        ranges = self._settings.first_ranges()
        while len(ranges) > most:
            if most < 2:
                return []
            ranges = ranges_between([start for start, _ in ranges][::2])
        return ranges

    def _refine(self) -> None:
        """Cut the cells in which a cut between partitions has to lie, as far as the counts allow.

        A round takes the biggest and those at least half as big, lest smaller ones spend the counts first.
        """
        biggest = 0.0
        for load, lab_grown, cell in self._crowded():
            ranges = self._cut(load, cell)
            if not ranges or len(ranges) > self._calls_left():
                continue
            biggest = biggest or load
            if 2 * load < biggest:
                break
            del self._cells[lab_grown][cell.price_from]
            self._ask(lab_grown, ranges)

    def _crowded(self) -> list[tuple[float, bool, DensityCell]]:
        """Cells to be cut, with the number of partitions that each would fill; the biggest first."""
        crowded = [
            (density.cells[index].count * share / density.counted, density.lab_grown, density.cells[index])
            for density in self.maps()
            for share in [self._shares[density.lab_grown]]
            for index in crowded_cells(density, share, self._settings.cut_accuracy)
        ]
        return sorted(crowded, key=lambda entry: (-entry[0], entry[1], entry[2].price_from))

    def _cut(self, load: float, cell: DensityCell) -> list[Range]:
        step = self._settings.dense_zone_step
        fits_two_steps = cell.price_to is None or cell.price_to - cell.price_from >= 2 * step
        return cut(
            cell.price_from,
            cell.price_to,
            parts=parts_for(load, _WANTED_LOAD, most=_MOST_PARTS),
            narrowest=step if fits_two_steps else 1,
            first=self._settings.initial_step,
            highest=HIGHEST_PRICE,
        )

    def _ask(self, lab_grown: bool, ranges: Sequence[Range]) -> None:
        self._calls[lab_grown] += len(ranges)
        self._pending.update(
            Selection(lab_grown, start, end, updated_from=self._updated_from) for start, end in ranges
        )

    def _calls_left(self) -> int:
        return self._settings.max_calls - sum(self._calls.values())
