"""How a range that is too big to be read in one go is split: by price, then carats, then shape, then color.

Offsets over a moving inventory are trusted only so far, so a worker counts what it is about to read and
splits it until every piece is small. Which pieces to count is decided here; counting them is the worker's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from diamond_opus.domain.selection import Selection
from diamond_opus.partitioning.ranges import HIGHEST_PRICE, cut, parts_for

#: The deepest offset that is read, and what is kept free of it for stones that arrive meanwhile.
DEEPEST_OFFSET = 1_000
RESERVE = 100

# Where an open range gets its first edge, and the hundredths of a carat that no stone reaches.
_FIRST_PRICE = 500
_FIRST_CARATS, _HIGHEST_CARATS = 100, 100_000

# With 8, reading a million stones takes a third fewer counts than by halves; with 16, more again.
_MOST_PARTS = 8


class Dimension(Enum):
    """What a selection is split by, in the order in which it is tried."""

    PRICE = 1
    CARATS = 2
    SHAPE = 3
    COLOR = 4


@dataclass(frozen=True, slots=True)
class Split:
    """Count these; when :func:`children_cover` says that they are all of the parent, they take its place."""

    dimension: Dimension
    children: tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class ReadDeep:
    """Nothing is left to split by: read it past the limit, and say ``reason``."""

    reason: str


def split_for_reading(
    selection: Selection,
    count: int,
    limit: int = DEEPEST_OFFSET - RESERVE,
    *,
    shapes: Sequence[str],
    colors: Sequence[str],
    after: Dimension | None = None,
) -> Split | ReadDeep:
    """How to split a selection of ``count`` stones, by the first dimension that still can be.

    Prices and carats are bisected with shared edges (up to three times at once when the count shows that
    once would not do, an open range where it doubles), down to one dollar and one hundredth of a carat.
    Shapes and colors are dealt into groups of the feed's own lists. ``after`` leaves out the dimensions up to
    that one: the caller passes it when the children that this one gave did not cover the selection. Every
    child is a proper part of the selection, so splitting comes to an end.

    Raises ValueError when the selection fits the limit already.

    >>> lists = {"shapes": ["OVAL", "ROUND"], "colors": ["D", "E"]}
    >>> [str(child) for child in split_for_reading(Selection(True, 100, 300), 1_500, **lists).children]
    ['lab-grown USD 100 to 200', 'lab-grown USD 200 to 300']
    >>> split = split_for_reading(Selection(True, 100, 101, carats_from=100, carats_to=101), 1_500, **lists)
    >>> split.dimension, [child.shapes for child in split.children]
    (<Dimension.SHAPE: 3>, [('OVAL',), ('ROUND',)])
    """
    if count <= limit:
        raise ValueError(f"{selection}: {count} stones fit the limit of {limit}, there is nothing to split")
    parts = parts_for(count, limit, most=_MOST_PARTS)
    for dimension in Dimension:
        if after is not None and dimension.value <= after.value:
            continue
        children = _children(selection, dimension, parts, shapes, colors)
        if children:
            return Split(dimension, tuple(children))
    return ReadDeep(
        f"{selection}: {count} stones are more than {limit}, and no price, carats, shape or color is left to"
        " split them by"
    )


def children_cover(count: int, children_counts: Iterable[int]) -> bool:
    """Whether the children, counted afresh, can be all of a selection of ``count`` stones.

    Stones on shared edges count twice, so more is no surprise. One fewer is: a dimension that hides stones, such as a
    shape that the feed's list lacks, would hide them from every later count as well.

    >>> children_cover(1_500, [900, 640]), children_cover(1_500, [900, 599])
    (True, False)
    """
    return sum(children_counts) >= count


def _children(
    selection: Selection, dimension: Dimension, parts: int, shapes: Sequence[str], colors: Sequence[str]
) -> list[Selection]:
    match dimension:
        case Dimension.PRICE:
            return _by_price(selection, parts)
        case Dimension.CARATS:
            return _by_carats(selection, parts)
        case Dimension.SHAPE:
            groups = _deal(shapes if selection.shapes is None else selection.shapes, parts)
            return [replace(selection, shapes=group) for group in groups]
        case Dimension.COLOR:
            groups = _deal(colors if selection.colors is None else selection.colors, parts)
            return [replace(selection, colors=group) for group in groups]


def _by_price(selection: Selection, parts: int) -> list[Selection]:
    ranges = cut(
        selection.price_from,
        selection.price_to,
        parts=parts,
        narrowest=1,
        first=_FIRST_PRICE,
        highest=HIGHEST_PRICE,
    )
    return [selection.priced(start, end) for start, end in ranges]


def _by_carats(selection: Selection, parts: int) -> list[Selection]:
    ranges = cut(
        selection.carats_from or 0,
        selection.carats_to,
        parts=parts,
        narrowest=1,
        first=_FIRST_CARATS,
        highest=_HIGHEST_CARATS,
    )
    return [replace(selection, carats_from=start or None, carats_to=end) for start, end in ranges]


def _deal(names: Sequence[str], parts: int) -> list[tuple[str, ...]]:
    """``names`` in at most ``parts`` groups of about one size; none when a single group would be left."""
    parts = min(parts, len(names))
    if parts < 2:
        return []
    return [
        tuple(names[len(names) * part // parts : len(names) * (part + 1) // parts]) for part in range(parts)
    ]
