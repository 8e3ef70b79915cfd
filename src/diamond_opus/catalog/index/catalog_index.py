"""The index as a whole: its segments, the version it is exact to, and how it follows the dataset.

A view never changes; following makes a new one, so a question that has begun is not disturbed::

    changed diamonds ─▶ a new small segment, their old rows no longer live
    small segments and worn ones ─▶ joined into one, in a thread (compact)
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from psycopg.rows import dict_row

from diamond_opus.catalog.facets import FacetCounts
from diamond_opus.catalog.index.bitmaps import Bits, count, everything, pack, unpack
from diamond_opus.catalog.index.columns import Columns, Ids, Words, join, take
from diamond_opus.catalog.index.counts import count_facets
from diamond_opus.catalog.index.load import QUERIES, held, read_all, read_changed, read_changed_ids
from diamond_opus.catalog.index.match import match_each, meet
from diamond_opus.catalog.index.pages import Sequencing, first_ids
from diamond_opus.catalog.index.segment import Segment, build
from diamond_opus.db.pool import Connection, Pool

#: The share of dead rows from which on a segment is made anew.
_MOST_DEAD = 0.3
#: Rows of a segment; more would for a moment be too much to hold twice, 150 bytes each.
_MOST_JOINED = 400_000
#: Changed stones from which on they are put in order in a thread, so that questions are answered meanwhile.
_MANY = 1_000

Versions = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A segment, and which of its rows are still the newest of their stones."""

    segment: Segment
    live: Bits

    @property
    def alive(self) -> int:
        return count(self.live)

    @property
    def dead(self) -> int:
        return len(self.segment) - self.alive


@dataclass(frozen=True, slots=True)
class View:
    """The catalogue on sale as it was at these versions of the feeds."""

    versions: Versions
    parts: Sequence[Part]
    words: Words

    def total(self, filters: Mapping[str, Any]) -> int:
        return sum(count(rows) for _, rows in self._matching(filters))

    def facets(self, filters: Mapping[str, Any]) -> FacetCounts:
        matched = [
            (part.segment, part.live, match_each(part.segment, self.words, filters)) for part in self.parts
        ]
        return count_facets(matched, self.words)

    def total_by_feed(self) -> Mapping[str, int]:
        """15 microseconds a feed with a million stones."""
        totals: Counter[str] = Counter()
        for part in self.parts:
            for code, rows in part.segment.values["feed"].items():
                feed = self.words.text("feed", code)
                if feed is not None:
                    totals[feed] += count(part.live & rows)
        return totals

    def page(
        self, filters: Mapping[str, Any], sequencing: Sequencing, *, skip: int, limit: int
    ) -> tuple[list[UUID], int]:
        """The ids of a page, and how many stones meet the filters."""
        parts = self._matching(filters)
        total = sum(count(rows) for _, rows in parts)
        return first_ids(parts, sequencing, skip=skip, limit=limit) if parts else [], total

    def _matching(self, filters: Mapping[str, Any]) -> list[tuple[Segment, Bits]]:
        return [
            (part.segment, meet(part.live, list(match_each(part.segment, self.words, filters).values())))
            for part in self.parts
        ]


async def read_versions(conn: Connection) -> dict[str, int]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["versions"])
        return {row["feed"]: row["version"] for row in await cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a view is behind a snapshot: changed stones, and whether any change is of a few stones, as trade is.

    ``stones`` None means that anything may have changed: the changes were pruned meanwhile, or written by a hand that
    did not say what it changed.
    """

    stones: int | None
    has_trade: bool


async def measure_distance(conn: Connection, view: View) -> Distance:
    """From the view to what ``conn`` sees, without reading what changed, which takes far longer.

    One statement, so it needs no transaction to see one moment.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["distance"], held(view.versions))
        row = await cursor.fetchone()
    if row is None or row["has_unknown"] or row["changes"] != row["steps"]:
        return Distance(None, has_trade=True)
    return Distance(int(row["stones"]), has_trade=bool(row["has_few"]))


async def prune_changes(pool: Pool) -> None:
    """Forget changes that every running process has followed long since; one that has not reads everything anew."""
    async with pool.connection() as conn:
        await conn.execute(QUERIES["prune_changes"])


async def load_view(conn: Connection) -> View:
    """Everything on sale, as the snapshot that ``conn`` is in shows it."""
    versions, words = await read_versions(conn), Words()
    segments = [
        await asyncio.to_thread(_whole, columns)
        async for columns in read_all(conn, words, at_once=_MOST_JOINED // 2)
    ]
    return View(versions, segments, words)


async def follow(conn: Connection, view: View, versions: Versions) -> View:
    """The view at these versions, which those of the snapshot that ``conn`` is in must be, with what changed read in
    it; the distance must be known.
    """
    ids = await read_changed_ids(conn, view.versions)
    new = await read_changed(conn, view.words, view.versions)
    if len(ids) < _MANY:
        parts = _replace(view.parts, ids, new)
    else:
        parts = await asyncio.to_thread(_replace, view.parts, ids, new)
    return View(versions, parts, view.words)


def _replace(parts: Sequence[Part], ids: Ids, new: Columns | None) -> list[Part]:
    return [*(_without(part, ids) for part in parts), *([] if new is None else [_whole(new)])]


def compact(view: View) -> View | None:
    """The same view in fewer segments, None when it is good as it is. Half a second at the most: call it in a thread.

    The newest segments are joined with those before them as long as these are less than twice their size and the sum
    is no more than one may have. So the segments double from the newest to the oldest, there are few, and a row is
    copied once for each doubling. Of the others, the one with the most dead rows is made anew.
    """
    kept, joined = list(view.parts), list[Part]()
    rows = 0
    while kept and (not joined or len(kept[-1].segment) < 2 * rows) and rows + kept[-1].alive <= _MOST_JOINED:
        joined.append(kept.pop())
        rows += joined[-1].alive
    if len(joined) == 1 and not _is_worn(joined[0]):
        kept.append(joined.pop())
    worn = max((part for part in kept if _is_worn(part)), key=lambda part: part.dead, default=None)
    kept = [part for part in kept if part is not worn]
    made = [_joined(group) for group in (joined, [worn] if worn else []) if group]
    if not made:
        return None
    return View(view.versions, [*kept, *(part for part in made if len(part.segment))], view.words)


def _joined(parts: Sequence[Part]) -> Part:
    return _whole(join([_living(part) for part in parts]))


def _is_worn(part: Part) -> bool:
    return part.dead > _MOST_DEAD * len(part.segment)


def _whole(columns: Columns) -> Part:
    return Part(build(columns), everything(len(columns)))


def _living(part: Part) -> Columns:
    return take(part.segment.columns, np.flatnonzero(unpack(part.live, len(part.segment))))


def _without(part: Part, ids: Ids) -> Part:
    """The part with the rows of these stones dead."""
    dead = np.zeros(len(part.segment), np.bool_)
    dead[part.segment.columns.find(ids)] = True
    return Part(part.segment, part.live & ~pack(dead))
