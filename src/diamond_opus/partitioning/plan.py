"""Into which partitions an inventory is cut: how many each type gets, and where the cuts lie."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from typing import NamedTuple

from diamond_opus.domain.selection import Selection
from diamond_opus.partitioning.density import DensityMap
from diamond_opus.partitioning.settings import HeatmapSettings


@dataclass(frozen=True, slots=True)
class PlannedPartition:
    """A price range of one type for one worker: whole dollars, both ends included, None is open.

    ``expected_records`` is the sum of the counted ranges in it: an estimate, never a limit.
    """

    partition_id: str
    lab_grown: bool
    price_from: int
    price_to: int | None
    expected_records: int

    def selection(self, updated_from: datetime | None = None) -> Selection:
        return Selection(self.lab_grown, self.price_from, self.price_to, updated_from=updated_from)


def plan_partitions(maps: Sequence[DensityMap], settings: HeatmapSettings) -> list[PlannedPartition]:
    """Cut each type into contiguous ranges from 0 to open that hold about the same number of stones.

    Together they are at least one a type (an empty one is asked too) and at most ``settings.max_workers``
    less one, which stays free for the catch-up. Cells are never cut: where one is bigger than a partition
    should be, there are fewer partitions. The same maps give the same partitions and ids.

    Raises ValueError for two maps of one type.

    >>> maps = [DensityMap.whole(False, 9_000), DensityMap.whole(True, 0)]
    >>> [(part.partition_id, part.expected_records) for part in plan_partitions(maps, HeatmapSettings())]
    [('natural-01', 9000), ('lab-grown-01', 0)]
    """
    if len({density.lab_grown for density in maps}) < len(maps):
        raise ValueError("every type of stone must have one density map")
    shares = share_partitions([density.total for density in maps], settings)
    return [
        partition
        for density, share in zip(maps, shares, strict=True)
        for partition in _cut_into(density, share)
    ]


def share_partitions(totals: Sequence[int], settings: HeatmapSettings) -> list[int]:
    """How many partitions each type gets: first one, then one more wherever partitions are biggest.

    >>> share_partitions([438_000, 904_000], HeatmapSettings())
    [10, 19]
    >>> share_partitions([12_000, 0], HeatmapSettings())
    [2, 1]
    """
    total = sum(totals)
    wanted = min(-(-total // settings.records_per_worker), total // settings.min_records_per_worker)
    shares = [1] * len(totals)
    for _ in range(min(wanted, settings.max_workers - 1) - len(totals)):
        biggest = max(range(len(totals)), key=lambda index: (totals[index] / shares[index], -index))
        shares[biggest] += 1
    return shares


def crowded_cells(density: DensityMap, parts: int, accuracy: int) -> list[int]:
    """The cells to count in smaller ranges before the type can be cut evenly into ``parts``.

    They have an ideal cut inside that is farther than one in ``accuracy`` of a partition from both edges.
    """
    reached = _reached(density)
    crowded = set[int]()
    for part in range(1, parts if reached[-1] else 1):
        below, above = _around(reached, part, parts)
        if min(below.distance, above.distance) * accuracy > reached[-1]:
            crowded.add(below.edge)
    return sorted(crowded)


def _cut_into(density: DensityMap, parts: int) -> list[PlannedPartition]:
    """Cut at the edges nearest to the ideal sums; two ideal cuts at one edge become one."""
    reached = _reached(density)
    nearest = (min(_around(reached, part, parts), key=lambda edge: edge.distance) for part in range(1, parts))
    edges = sorted({0, len(density.cells), *(cut.edge for cut in nearest)})
    kind = "lab-grown" if density.lab_grown else "natural"
    return [
        PlannedPartition(
            f"{kind}-{number:02d}",
            density.lab_grown,
            density.cells[start].price_from,
            density.cells[end - 1].price_to,
            reached[end] - reached[start],
        )
        for number, (start, end) in enumerate(pairwise(edges), start=1)
    ]


class _Edge(NamedTuple):
    """An edge between two cells, and how far it is from an ideal cut: stones times number of partitions."""

    edge: int
    distance: int


def _reached(density: DensityMap) -> list[int]:
    """How many stones lie below each edge, beginning with none below the first."""
    return [0, *accumulate(cell.count for cell in density.cells)]


def _around(reached: Sequence[int], part: int, parts: int) -> tuple[_Edge, _Edge]:
    """The last edge below the ideal cut after ``part`` of ``parts``, and the first one at or above it."""
    ideal = reached[-1] * part
    above = bisect_left(reached, ideal, key=lambda stones: stones * parts)
    below = max(0, above - 1)
    return _Edge(below, ideal - reached[below] * parts), _Edge(above, reached[above] * parts - ideal)
