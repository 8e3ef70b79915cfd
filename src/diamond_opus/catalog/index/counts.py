"""Totals and facets: how many rows of the segments meet a search, and how many would with another choice."""

from collections import Counter
from collections.abc import Mapping, Sequence

from diamond_opus.catalog.facets import (
    HISTOGRAMS,
    LAB_GROWN,
    TEXT_FACETS,
    FacetCounts,
    filters_beside,
    in_order,
)
from diamond_opus.catalog.index.bitmaps import Bits, CountOfBoth, count
from diamond_opus.catalog.index.columns import Words
from diamond_opus.catalog.index.match import meet
from diamond_opus.catalog.index.segment import Segment

#: A segment, its live rows, and the rows that meet each filter alone.
Matched = tuple[Segment, Bits, Mapping[str, Bits]]


def count_facets(parts: Sequence[Matched], words: Words) -> FacetCounts:
    total = 0
    texts: dict[str, Counter[str | None]] = {name: Counter() for name in TEXT_FACETS}
    grown: Counter[bool] = Counter()
    bars = {name: [0] * len(edges) for name, edges in HISTOGRAMS.items()}
    for segment, live, sets in parts:
        base = _Bases(live, sets)
        total += base.total
        for name in TEXT_FACETS:
            counted = base.beside(name)
            for code, rows in segment.values[name].items():
                texts[name][words.text(name, code)] += counted(rows)
        counted = base.beside(LAB_GROWN)
        grown[True] += counted(segment.facts[LAB_GROWN])
        grown[False] += counted(~segment.facts[LAB_GROWN])
        for name in HISTOGRAMS:
            counted = base.beside(name)
            for bar, rows in enumerate(segment.buckets[name]):
                bars[name][bar] += counted(rows)
    values = {name: in_order(name, counts) for name, counts in texts.items()}
    lab_grown = [(value, grown[value]) for value in (False, True) if grown[value]]
    return FacetCounts(total, {**values, LAB_GROWN: lab_grown}, bars)


class _Bases:
    """The rows that each facet is counted among; facets without a filter of their own share theirs."""

    def __init__(self, live: Bits, sets: Mapping[str, Bits]) -> None:
        self._live = live
        self._sets = sets
        matching = meet(live, list(sets.values()))
        self._everything = CountOfBoth(matching)
        self.total = count(matching)

    def beside(self, facet: str) -> CountOfBoth:
        names = filters_beside(facet, list(self._sets))
        if len(names) == len(self._sets):
            return self._everything
        return CountOfBoth(meet(self._live, [self._sets[name] for name in names]))
