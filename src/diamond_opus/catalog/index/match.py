"""Which rows of a segment meet a search: one set for each filter, and their intersection."""

from collections.abc import Mapping, Sequence
from typing import Any

from diamond_opus.catalog.conditions import AnyOf, AtLeast, AtMost, Condition, IsTrue
from diamond_opus.catalog.filters import FILTERS
from diamond_opus.catalog.index.bitmaps import Bits, pack
from diamond_opus.catalog.index.columns import UNKNOWN, Words
from diamond_opus.catalog.index.segment import Segment


def match_each(segment: Segment, words: Words, filters: Mapping[str, Any]) -> dict[str, Bits]:
    """The rows that meet each filter alone, by the filter's name."""
    return {name: _rows_of(segment, words, FILTERS[name].condition, value) for name, value in filters.items()}


def meet(live: Bits, sets: Sequence[Bits]) -> Bits:
    """The live rows that are in all of the sets."""
    rows = live
    for other in sets:
        rows = rows & other
    return rows


def _rows_of(segment: Segment, words: Words, condition: Condition, value: Any) -> Bits:
    match condition:
        case AnyOf(column):
            return _any_of(segment, words, column, value)
        case IsTrue(fact, nullable):
            return _is(segment, fact, nullable=nullable, wanted=value)
        case AtLeast(column):
            # 0.3 ms for a million rows. What is unknown is -1, and no bound is negative.
            return pack(segment.columns.numbers[column] >= max(condition.bound(value), 0))
        case AtMost(column):
            numbers = segment.columns.numbers[column]
            return pack((numbers <= condition.bound(value)) & (numbers > UNKNOWN))
        case _:
            raise ValueError(f"{condition} is for the database, not for the index")


def _any_of(segment: Segment, words: Words, column: str, texts: Sequence[str]) -> Bits:
    rows = segment.none
    for code in words.codes(column, texts):
        having = segment.values[column].get(code)
        if having is not None:
            rows = rows | having
    return rows


def _is(segment: Segment, fact: str, *, nullable: bool, wanted: bool) -> Bits:
    if wanted:
        return segment.facts[fact]
    return segment.facts[f"not {fact}"] if nullable else ~segment.facts[fact]
