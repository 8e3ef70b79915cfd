"""Answers every question to the catalogue, by the index where it is exact to the asker's snapshot, else by SQL.

The index is brought to a snapshot by reading what changed since, in that very snapshot; so page, total and facets
of an answer are those of one version of the dataset, whichever way they came about.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from diamond_opus.catalog.conditions import is_in_memory
from diamond_opus.catalog.facets import FacetCounts
from diamond_opus.catalog.filters import FILTERS
from diamond_opus.catalog.index.catalog_index import (
    Outgrown,
    View,
    compact,
    find_changes,
    follow,
    load_view,
    prune_changes,
    read_versions,
)
from diamond_opus.catalog.search import Search, SearchPage, search_by_index, search_by_sql
from diamond_opus.catalog.sql_facets import count_facets_by_sql
from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.db.pool import Connection, Pool, transaction
from diamond_opus.domain.clock import Clock, SystemClock
from diamond_opus.observability.logging import get_logger

#: So many changed stones are read while a question waits (50 ms); more are left to the background.
_MOST_IN_PASSING = 10_000
#: Views kept for snapshots that are a moment older than the newest; their segments are mostly the same.
_VIEWS = 4
#: How often the background looks, so that questions seldom find anything to read.
_SECONDS = 1.0
_PRUNE_SECONDS = 3_600.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a snapshot shows: the versions of the feeds, and the view that is exact to them, if there is one."""

    versions: Mapping[str, int]
    view: View | None

    @property
    def version(self) -> str:
        """A short text that changes whenever an answer could."""
        return hashlib.sha256(repr(sorted(self.versions.items())).encode()).hexdigest()[:16]


class Catalog:
    """One for each process that serves. ``run`` keeps the index; without it everything is answered by SQL."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._views: deque[View] = deque(maxlen=_VIEWS)
        self._following = asyncio.Lock()
        self._reload = False

    async def at(self, conn: Connection) -> Moment:
        """The moment that the snapshot of ``conn`` shows."""
        versions = await read_versions(conn)
        view = self._view_of(versions)
        if view is None and self._views:
            async with self._following:
                view = self._view_of(versions) or await self._follow(conn, versions)
        return Moment(versions, view)

    async def search(self, conn: Connection, moment: Moment, search: Search) -> SearchPage:
        """``conn`` must be in the snapshot of the moment."""
        if moment.view is not None and search.sort.column is not None and _fits(search.filters):
            return await search_by_index(conn, moment.view, search)
        return await search_by_sql(conn, search)

    async def facets(self, conn: Connection, moment: Moment, filters: Mapping[str, Any]) -> FacetCounts:
        if moment.view is not None and _fits(filters):
            return moment.view.facets(filters)
        return await count_facets_by_sql(conn, filters)

    async def run(self, pool: Pool, stop: asyncio.Event) -> None:
        """Load the index, then follow the dataset, until ``stop``. What fails is logged and tried again."""
        prune_at = self._clock.monotonic()
        while not stop.is_set():
            try:
                await self.refresh(pool)
                if self._clock.monotonic() >= prune_at:
                    await prune_changes(pool)
                    prune_at = self._clock.monotonic() + _PRUNE_SECONDS
            except (psycopg.Error, DatabaseUnavailable, OSError) as error:
                log.warning("catalog_index_not_refreshed", reason=str(error))
            waiting = asyncio.create_task(stop.wait())
            await asyncio.wait((waiting,), timeout=_SECONDS)
            waiting.cancel()

    async def refresh(self, pool: Pool) -> None:
        """Bring the index to the newest version, whatever that takes."""
        async with pool.connection() as conn, transaction(conn, snapshot=True):
            versions = await read_versions(conn)
            async with self._following:
                if self._view_of(versions) is None and self._views:
                    await self._follow(conn, versions)
                if self._views:
                    await self._compact()
            if not self._views or self._reload:
                await self._load(conn)

    async def _compact(self) -> None:
        """Questions go on meanwhile; one whose snapshot is newer than the view waits."""
        try:
            compacted = await asyncio.to_thread(compact, self._views[-1])
        except Outgrown:
            self._reload = True
            return
        if compacted is not None:
            self._views = deque([compacted], maxlen=_VIEWS)

    async def _load(self, conn: Connection) -> None:
        """Old views are of no use any more and go first: they and the new one would be much memory."""
        self._views.clear()
        view = await load_view(conn)
        self._reload = False
        self._views.append(view)
        log.info("catalog_index_loaded", stones=view.total({}))

    async def _follow(self, conn: Connection, versions: Mapping[str, int]) -> View | None:
        """Bring the newest view to the snapshot of ``conn``; None when that is too much, or the snapshot is older."""
        if not self._views:  # everything is read anew just now
            return None
        newest = self._views[-1]
        if any(version < newest.versions.get(feed, 0) for feed, version in versions.items()):
            return None
        changes = await find_changes(conn, newest, versions)
        if changes.ids is None or len(changes.ids) > _MOST_IN_PASSING:
            self._reload = True
            return None
        view = await follow(conn, newest, changes)
        self._views.append(view)
        return view

    def _view_of(self, versions: Mapping[str, int]) -> View | None:
        return next((view for view in reversed(self._views) if view.versions == versions), None)


def _fits(filters: Mapping[str, Any]) -> bool:
    return is_in_memory([FILTERS[name].condition for name in filters])
