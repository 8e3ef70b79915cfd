"""Which facets a search has, how their values are ordered, and where the bars of the histograms begin.

A facet is counted as if its own filter were not set, so that a shop can show what another choice would find.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diamond_opus.catalog.filters import FILTERS
from diamond_opus.domain.grades import CLARITIES, COLORS, FLUORESCENCES, QUALITIES, Availability

#: Facets of texts, by column; grades come from best to worst, others by how many there are.
TEXT_FACETS: Mapping[str, Sequence[str]] = {
    "shape": (),
    "color": COLORS,
    "clarity": CLARITIES,
    "cut": QUALITIES,
    "polish": QUALITIES,
    "symmetry": QUALITIES,
    "fluorescence": FLUORESCENCES,
    "certificate_lab": (),
    "availability": tuple(Availability),
}
LAB_GROWN = "lab_grown"

#: Where each bar begins; the last one is open. US cents, and hundredths of a carat.
PRICE_EDGES: tuple[int, ...] = tuple(
    dollars * 100
    for dollars in (
        0, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 7_500, 10_000, 15_000, 20_000,
        30_000, 50_000, 75_000, 100_000, 150_000, 250_000,
    )
)  # fmt: skip
CARAT_EDGES: tuple[int, ...] = (
    0, 25, 30, 40, 50, 60, 70, 80, 90, 100, 120, 150, 170, 200, 250, 300, 350, 400, 500, 600, 800, 1_000,
)  # fmt: skip
#: The histograms: their edges, and the SQL of the whole number that they sort into bars.
HISTOGRAMS: Mapping[str, tuple[int, ...]] = {"price": PRICE_EDGES, "carats": CARAT_EDGES}

FACETS: Sequence[str] = (*TEXT_FACETS, LAB_GROWN, *HISTOGRAMS)


@dataclass(frozen=True, slots=True)
class FacetCounts:
    """``total`` stones meet the whole search. Values that no stone has are left out; None is "not known".

    ``histograms`` hold one count for each edge.
    """

    total: int
    values: Mapping[str, Sequence[tuple[str | bool | None, int]]]
    histograms: Mapping[str, Sequence[int]]


def filters_beside(facet: str, names: Sequence[str]) -> list[str]:
    """Those of the filters that narrow a facet: all but its own.

    >>> filters_beside("price", ["shape", "price_min", "price_max"])
    ['shape']
    """
    return [name for name in names if FILTERS[name].facet != facet]


def in_order(facet: str, counts: Mapping[str | None, int]) -> list[tuple[str | bool | None, int]]:
    """The counts of a facet that are not zero, as they are shown; what is not known comes last."""
    grades = {value: place for place, value in enumerate(TEXT_FACETS[facet])}
    known = [(value, count) for value, count in counts.items() if value is not None and count]
    unknown = [(None, count) for value, count in counts.items() if value is None and count]
    return [
        *sorted(known, key=lambda pair: (grades.get(pair[0], len(grades)), -pair[1], pair[0])),
        *unknown,
    ]
