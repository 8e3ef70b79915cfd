"""How many stones of one type ask which price: a density map, its honesty check and its stored form."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

#: What a moving inventory may differ by between two counts: one in 200, and 2.
TOLERANCE_ONE_IN = 200
TOLERANCE_STONES = 2


@dataclass(frozen=True, slots=True)
class DensityCell:
    """``count`` stones from ``price_from`` to ``price_to`` whole dollars, both included; None is open."""

    price_from: int
    price_to: int | None
    count: int


@dataclass(frozen=True, slots=True)
class DensityMap:
    """Counted price ranges of one type; ``total`` is its count without a price filter.

    The cells come in order, share their edges, start at 0 and end open, so no price lies between two of them.
    Raises ValueError when they do not.
    """

    lab_grown: bool
    total: int
    cells: tuple[DensityCell, ...]

    def __post_init__(self) -> None:
        if not self.cells or self.cells[0].price_from != 0 or self.cells[-1].price_to is not None:
            raise ValueError("a density map must start at 0 dollars and end with an open range")
        for cell, following in pairwise(self.cells):
            if cell.price_to != following.price_from or cell.price_to <= cell.price_from:
                raise ValueError(
                    f"a density map must be without gaps: {cell.price_from} to {cell.price_to} is followed by"
                    f" {following.price_from} to {following.price_to}"
                )
        if self.total < 0 or any(cell.count < 0 for cell in self.cells):
            raise ValueError("a density map must not hold negative counts")

    @classmethod
    def whole(cls, lab_grown: bool, total: int) -> "DensityMap":
        """A map of one cell: all that is known is how many stones there are.

        >>> DensityMap.whole(True, 7).cells
        (DensityCell(price_from=0, price_to=None, count=7),)
        """
        return cls(lab_grown, total, (DensityCell(0, None, total),))

    @property
    def counted(self) -> int:
        """The sum of the cells; stones priced at exactly an edge are in it twice."""
        return sum(cell.count for cell in self.cells)

    def rescaled(self, total: int) -> "DensityMap":
        """The same shape holding ``total`` stones: a plan for counts that were not taken.

        >>> scanned = DensityMap(False, 40, (DensityCell(0, 500, 30), DensityCell(500, None, 10)))
        >>> [cell.count for cell in scanned.rescaled(8).cells]
        [6, 2]
        """
        counted = self.counted
        if counted == 0:
            return DensityMap.whole(self.lab_grown, total)
        shares = [reached * total // counted for reached in accumulate(cell.count for cell in self.cells)]
        counts = [share - before for before, share in pairwise([0, *shares])]
        cells = (
            DensityCell(cell.price_from, cell.price_to, count)
            for cell, count in zip(self.cells, counts, strict=True)
        )
        return DensityMap(self.lab_grown, total, tuple(cells))

    def to_json(self) -> dict[str, Any]:
        """As the table ``density_scans`` keeps it: its columns ``lab_grown``, ``total`` and ``cells``."""
        cells = [[cell.price_from, cell.price_to, cell.count] for cell in self.cells]
        return {"lab_grown": self.lab_grown, "total": self.total, "cells": cells}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "DensityMap":
        """Back from :meth:`to_json`. Raises ValueError for what cannot have come from it."""
        try:
            cells = tuple(DensityCell(*cell) for cell in stored["cells"])
            return cls(stored["lab_grown"], stored["total"], cells)
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is not a stored density scan: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A type's ranges against its count without a price filter.

    Ranges share their edges, so a stone priced at exactly an edge is counted twice: a surplus is expected,
    and how large it is depends on how many suppliers ask round prices. A shortfall is not: stones were in no
    range. Within the tolerance it may be the inventory's own movement while it was counted.
    """

    lab_grown: bool
    total: int
    counted: int

    @property
    def surplus(self) -> int:
        return max(0, self.counted - self.total)

    @property
    def shortfall(self) -> int:
        return max(0, self.total - self.counted)

    @property
    def is_complete(self) -> bool:
        """No stone is missing, at least by count."""
        return self.shortfall == 0

    @property
    def is_within_tolerance(self) -> bool:
        return covers(self.total, self.counted)

    def __str__(self) -> str:
        kind = "lab-grown" if self.lab_grown else "natural"
        found = f"{kind}: {self.counted} stones counted by price, {self.total} without a price filter"
        if self.shortfall:
            cause = (
                "within a moving inventory's tolerance"
                if self.is_within_tolerance
                else "too many to be movement"
            )
            return f"{found}: {self.shortfall} are in no price range, {cause}"
        if self.surplus:
            return f"{found}: {self.surplus} more, as stones priced at exactly an edge count in both ranges"
        return f"{found}: they agree"


def reconcile(density: DensityMap) -> Reconciliation:
    """Compare the sum of the cells with the count without a price filter."""
    return Reconciliation(density.lab_grown, density.total, density.counted)


def covers(parent: int, children: int) -> bool:
    """Whether ranges that share edges and hold ``children`` stones can be all of one that holds ``parent``.

    >>> covers(1_000, 1_004), covers(1_000, 993), covers(1_000, 992)
    (True, True, False)
    """
    return children >= parent - parent // TOLERANCE_ONE_IN - TOLERANCE_STONES
