"""How a range of whole units is cut: the parts share their edges, cover it, and each is narrower."""

from itertools import pairwise

#: The supplier's open end: no range is cut above it.
HIGHEST_PRICE = 2_147_483_647

#: A start, and an end or None where it is open; both are included.
Range = tuple[int, int | None]


def ranges_between(edges: list[int]) -> list[Range]:
    """The ranges from each edge to the next, and an open one from the last.

    >>> ranges_between([0, 500, 1_000])
    [(0, 500), (500, 1000), (1000, None)]
    """
    return [*pairwise(edges), (edges[-1], None)]


def cut(start: int, end: int | None, *, parts: int, narrowest: int, first: int, highest: int) -> list[Range]:
    """Cut a range into at most ``parts``, a power of two; empty when there is nothing to cut.

    A closed range is cut into equal widths of ``narrowest`` or more. An open one is cut where it doubles, at
    first by ``first`` or more, and not above ``highest``.

    >>> cut(0, 500, parts=8, narrowest=100, first=500, highest=1_000)
    [(0, 125), (125, 250), (250, 375), (375, 500)]
    >>> cut(0, None, parts=8, narrowest=100, first=500, highest=1_000)
    [(0, 500), (500, 1000), (1000, None)]
    """
    if end is None:
        edges = [start]
        while len(edges) < parts and edges[-1] + max(edges[-1], first) <= highest:
            edges.append(edges[-1] + max(edges[-1], first))
        return ranges_between(edges) if len(edges) > 1 else []
    width = end - start
    while parts > 1 and width < parts * narrowest:
        parts //= 2
    return list(pairwise(start + width * part // parts for part in range(parts + 1))) if parts > 1 else []


def parts_for(count: float, wanted: float, *, most: int) -> int:
    """The power of two, from 2 to ``most``, that would bring ``count`` to ``wanted`` or less in each part.

    >>> [parts_for(count, 100, most=8) for count in (101, 200, 201, 10_000)]
    [2, 2, 4, 8]
    """
    parts = 2
    while parts < most and parts * wanted < count:
        parts *= 2
    return parts
