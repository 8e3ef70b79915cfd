"""The index as a whole: its segments, the version it is exact to, and how it follows the dataset.

A view never changes; following makes a new one, so a question that has begun is not disturbed::

    changed diamonds ─▶ a new small segment, their old rows no longer live
    small segments and worn ones ─▶ joined into one, in a thread (compact)
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from psycopg.rows import dict_row

from diamond_opus.catalog.facets import FacetCounts
from diamond_opus.catalog.index.bitmaps import Bits, count, everything, pack, unpack
from diamond_opus.catalog.index.columns import Columns, Words, join, take
from diamond_opus.catalog.index.counts import count_facets
from diamond_opus.catalog.index.load import QUERIES, read_all, read_some
from diamond_opus.catalog.index.match import match_each, meet
from diamond_opus.catalog.index.pages import Sequencing, first_ids
from diamond_opus.catalog.index.segment import Segment, build
from diamond_opus.db.pool import Connection, Pool

#: The share of dead rows from which on a segment is made anew.
_MOST_DEAD = 0.3
#: Rows that are joined in memory; more would for a moment be too much to hold twice, 150 bytes each.
_MOST_JOINED = 400_000

Versions = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A segment, and which of its rows are still the newest of their stones."""

    segment: Segment
    live: Bits

    @property
    def dead(self) -> int:
        return len(self.segment) - count(self.live)


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


@dataclass(frozen=True, slots=True)
class Changes:
    """What lies between a view and a snapshot: the stones, or everything (None)."""

    versions: Versions
    ids: set[UUID] | None = field(default_factory=set)


async def read_versions(conn: Connection) -> dict[str, int]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["versions"])
        return {row["feed"]: row["version"] for row in await cursor.fetchall()}


async def find_changes(conn: Connection, view: View, versions: Versions) -> Changes:
    """The stones that changed between the view and the snapshot that ``conn`` is in, which is at ``versions``."""
    held = {feed: view.versions.get(feed, 0) for feed in versions}
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            QUERIES["changes"], {"feeds": list(held), "versions": [held[feed] for feed in held]}
        )
        rows = await cursor.fetchall()
    behind = sum(version - held[feed] for feed, version in versions.items())
    if len(rows) != behind or any(row["diamond_ids"] is None for row in rows):
        return Changes(
            versions, None
        )  # pruned meanwhile, or written by a hand that did not say what it changed
    return Changes(versions, {one for row in rows for one in row["diamond_ids"]})


async def prune_changes(pool: Pool) -> None:
    """Forget changes that every running process has followed long since; one that has not reads everything anew."""
    async with pool.connection() as conn:
        await conn.execute(QUERIES["prune_changes"])


async def load_view(conn: Connection) -> View:
    """Everything on sale, as the snapshot that ``conn`` is in shows it."""
    versions, words = await read_versions(conn), Words()
    columns = await read_all(conn, words)
    if not len(columns):
        return View(versions, [], words)
    segment = await asyncio.to_thread(build, columns)
    return View(versions, [Part(segment, everything(len(segment)))], words)


async def follow(conn: Connection, view: View, changes: Changes) -> View:
    """The view at the versions of the changes, whose stones are read in the same snapshot."""
    ids = changes.ids or set()
    parts = [_without(part, ids) for part in view.parts]
    new = await read_some(conn, view.words, ids)
    if new is not None:
        parts.append(_whole(new))
    return View(changes.versions, parts, view.words)


class Outgrown(Exception):
    """The view can no longer be put in order by itself: read everything anew."""


def compact(view: View) -> View | None:
    """The same view in fewer segments, None when it is good as it is. Half a second at the most: call it in a thread.

    The newest segments are joined with those before them as long as these are less than twice their size. So the
    segments double from the newest to the oldest, there are few, and a row is copied once for each doubling.
    Raises Outgrown.
    """
    kept, joined = list(view.parts), list[Part]()
    rows = 0
    while kept and (not joined or len(kept[-1].segment) < 2 * rows or _is_worn(kept[-1])):
        joined.append(kept.pop())
        rows += len(joined[-1].segment)
    if len(joined) < 2 and not any(_is_worn(part) for part in joined):
        return None
    if rows > _MOST_JOINED:
        raise Outgrown
    columns = join([_living(part) for part in joined])
    return View(view.versions, [*kept, *([_whole(columns)] if len(columns) else [])], view.words)


def _is_worn(part: Part) -> bool:
    return part.dead > _MOST_DEAD * len(part.segment)


def _whole(columns: Columns) -> Part:
    return Part(build(columns), everything(len(columns)))


def _living(part: Part) -> Columns:
    return take(part.segment.columns, np.flatnonzero(unpack(part.live, len(part.segment))))


def _without(part: Part, ids: Collection[UUID]) -> Part:
    """The part with the rows of these stones dead."""
    dead = np.zeros(len(part.segment), np.bool_)
    dead[part.segment.columns.find(ids)] = True
    return Part(part.segment, part.live & ~pack(dead))
