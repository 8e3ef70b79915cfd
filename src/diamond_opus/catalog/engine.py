"""Answers every question to the catalogue, by the index where it is exact to the asker's snapshot, else by SQL.

The index is brought to a snapshot by reading what changed since, in that very snapshot; so page, total and facets
of an answer are those of one version of the dataset, whichever way they came about.

While much changes, no question reads it: the background follows, exports the snapshot that its newest view is exact
to, and lends it to whoever asks. Such an answer is some seconds old at most, and never older than a trade.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.errors import InvalidParameterValue, ObjectNotInPrerequisiteState, UndefinedObject

from diamond_opus.catalog.conditions import is_in_memory
from diamond_opus.catalog.facets import FacetCounts
from diamond_opus.catalog.filters import FILTERS
from diamond_opus.catalog.index.catalog_index import (
    Distance,
    View,
    compact,
    follow,
    load_view,
    measure_distance,
    prune_changes,
    read_versions,
)
from diamond_opus.catalog.search import Search, SearchPage, search_by_index, search_by_sql
from diamond_opus.catalog.sql_facets import count_facets_by_sql
from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.db.pool import Connection, Pool, export_snapshot, transaction
from diamond_opus.domain.clock import Clock, SystemClock
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.metrics import count_cache, watch_catalogue

#: So many changed stones are read while a question waits (10 ms); more are left to the background.
_MOST_IN_PASSING = 1_000
#: How long a question waits for the background before SQL answers it.
_LONGEST_WAIT_SECONDS = 3.0
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


@dataclass(frozen=True, slots=True)
class Lent:
    """A view, and the name of the snapshot that it is exact to, which a transaction of the background keeps open."""

    view: View
    snapshot: str


class Catalog:
    """One for each process that serves. ``run`` keeps the index; without it everything is answered by SQL."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._views: deque[View] = deque(maxlen=_VIEWS)
        self._following = asyncio.Lock()
        self._reload = False
        self._is_running = False
        self._lent: Lent | None = None
        self._wanted = asyncio.Event()  # somebody waits for the background
        self._followed = asyncio.Event()  # set, and made anew, each time it has followed

    @asynccontextmanager
    async def moment(
        self,
        conn: Connection,
        *,
        statement_timeout_ms: int | None = None,
        filters: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Moment]:
        """A transaction of ``conn`` in one snapshot, and what that shows: to be entered for each question.

        Without ``filters`` nothing is asked of the index, and the snapshot is always of now.
        """
        async with AsyncExitStack() as stack:

            async def enter(snapshot: bool | str) -> None:
                await stack.enter_async_context(
                    transaction(conn, statement_timeout_ms=statement_timeout_ms, snapshot=snapshot)
                )

            is_indexed = filters is not None and _fits(filters)
            lent = await self._borrow(conn) if is_indexed else None
            if lent is None:
                await enter(True)
                versions = await read_versions(conn)
                found = await self._find(conn, versions) if is_indexed else None
                if not isinstance(found, Lent):
                    yield Moment(versions, found)
                    return
                await stack.aclose()
                lent = found
            try:
                await enter(lent.snapshot)
            except (
                InvalidParameterValue,
                UndefinedObject,
                ObjectNotInPrerequisiteState,
            ):  # too late: it was given back in the meantime
                await enter(True)
                yield await self.at(conn)
                return
            yield Moment(lent.view.versions, lent.view)

    async def at(self, conn: Connection) -> Moment:
        """The moment that the snapshot of ``conn`` shows, with its view if that can be made in passing."""
        versions = await read_versions(conn)
        view = self._view_of(versions)
        if view is None and self._views:
            view = await self._follow_in_passing(conn, versions)
        return Moment(versions, view)

    async def _borrow(self, conn: Connection) -> Lent | None:
        """What is lent, if much changed since, and nothing of it was a trade: those must be seen at once.

        From what is lent, not from the newest view, for a question may have followed a trade in passing since. Asked
        outside a transaction, in one exchange: while much changes, exchanges are what a question waits for.
        """
        lent = self._lent
        if lent is None:
            return None
        distance = await measure_distance(conn, lent.view)
        return lent if _is_far(distance) and not distance.has_trade else None

    async def _find(self, conn: Connection, versions: Mapping[str, int]) -> View | Lent | None:
        """The view of this snapshot; what is lent, if that is newer or is waited for; None leaves it to SQL."""
        view = self._view_of(versions)
        if view is not None or not self._views:
            return view
        if self._lent is not None and not _is_behind(self._lent.view, versions):
            return self._lent
        if self._is_running and _is_far(await measure_distance(conn, self._views[-1])):
            return await self._wait_for_background(versions)
        return await self._follow_in_passing(conn, versions)

    async def _wait_for_background(self, versions: Mapping[str, int]) -> Lent | None:
        """What is lent as soon as it is no older than these versions, None when that takes too long.

        A trade must be seen at once, wherever it was made.
        """
        deadline = self._clock.monotonic() + _LONGEST_WAIT_SECONDS
        while (seconds := deadline - self._clock.monotonic()) > 0:
            followed = self._followed
            self._wanted.set()
            try:
                await asyncio.wait_for(followed.wait(), seconds)
            except TimeoutError:
                break
            if self._lent is not None and not _is_behind(self._lent.view, versions):
                return self._lent
        return None

    async def _follow_in_passing(self, conn: Connection, versions: Mapping[str, int]) -> View | None:
        """The view of this snapshot, made now if few stones changed; None when the background is long at it."""
        try:
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                await self._following.acquire()
        except TimeoutError:
            return self._view_of(versions)
        try:
            return self._view_of(versions) or await self._follow(conn, versions, at_most=_MOST_IN_PASSING)
        finally:
            self._following.release()

    async def search(self, conn: Connection, moment: Moment, search: Search) -> SearchPage:
        """``conn`` must be in the snapshot of the moment."""
        if moment.view is not None and search.sort.column is not None and _fits(search.filters):
            count_cache("catalogue_index", hit=True)
            return await search_by_index(conn, moment.view, search)
        count_cache("catalogue_index", hit=False)
        return await search_by_sql(conn, search)

    async def facets(self, conn: Connection, moment: Moment, filters: Mapping[str, Any]) -> FacetCounts:
        if moment.view is not None and _fits(filters):
            count_cache("catalogue_index", hit=True)
            return moment.view.facets(filters)
        count_cache("catalogue_index", hit=False)
        return await count_facets_by_sql(conn, filters)

    async def run(self, pool: Pool, stop: asyncio.Event) -> None:
        """Load the index, then follow the dataset, until ``stop``. What fails is logged and tried again.

        Two connections of the pool are in use while much changes: the snapshot that is lent, and the one before it,
        which may just be borrowed.
        """
        prune_at = self._clock.monotonic()
        kept: deque[AsyncExitStack] = deque()
        self._is_running = True
        watch_catalogue(self)
        try:
            while not stop.is_set():
                try:
                    await _give_back(kept, all_but=1)
                    kept.append(await self._follow_and_lend(pool))
                    if self._clock.monotonic() >= prune_at:
                        await prune_changes(pool)
                        prune_at = self._clock.monotonic() + _PRUNE_SECONDS
                except (psycopg.Error, DatabaseUnavailable, OSError) as error:
                    self._lent = None
                    log.warning("catalog_index_not_refreshed", reason=str(error))
                    await _give_back(kept)
                await self._rest(stop)
        finally:
            self._is_running = False
            self._lent = None
            await _give_back(kept)

    async def _rest(self, stop: asyncio.Event) -> None:
        """Until the next look is due, or somebody waits for it."""
        waiting = [asyncio.create_task(stop.wait()), asyncio.create_task(self._wanted.wait())]
        await asyncio.wait(waiting, timeout=_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        self._wanted.clear()

    async def _follow_and_lend(self, pool: Pool) -> AsyncExitStack:
        """Bring the index to the newest version, and lend that while it changes. The stack keeps what is lent open."""
        async with AsyncExitStack() as stack:
            conn = await stack.enter_async_context(pool.connection())
            await stack.enter_async_context(transaction(conn, snapshot=True))
            before = self._views[-1].versions if self._views else None
            versions = await read_versions(conn)
            await self._bring_to(conn, versions)
            # Not the newest: a question that is further ahead may have followed in passing meanwhile.
            exact = self._view_of(versions)
            if before is None or exact is None or before == versions:
                self._lent = None
            else:
                self._lent = Lent(exact, await export_snapshot(conn))
            self._followed.set()
            self._followed = asyncio.Event()
            return stack.pop_all() if self._lent is not None else AsyncExitStack()

    def total_by_feed(self) -> Mapping[str, int]:
        """How many stones of each feed the newest view has; nothing before there is one."""
        return self._views[-1].total_by_feed() if self._views else {}

    async def refresh(self, pool: Pool) -> None:
        """Bring the index to the newest version, whatever that takes."""
        async with pool.connection() as conn, transaction(conn, snapshot=True):
            await self._bring_to(conn, await read_versions(conn))

    async def _bring_to(self, conn: Connection, versions: Mapping[str, int]) -> None:
        async with self._following:
            if self._view_of(versions) is None and self._views:
                await self._follow(conn, versions)
            if self._views:
                await self._compact()
        if not self._views or self._reload:
            await self._load(conn)

    async def _compact(self) -> None:
        """Questions go on meanwhile; one whose snapshot is newer than the view waits."""
        compacted = await asyncio.to_thread(compact, self._views[-1])
        if compacted is not None:
            self._views = deque([compacted], maxlen=_VIEWS)

    async def _load(self, conn: Connection) -> None:
        """Old views are of no use any more and go first: they and the new one would be much memory."""
        self._views.clear()
        self._lent = None
        view = await load_view(conn)
        self._reload = False
        self._views.append(view)
        log.info("catalog_index_loaded", stones=view.total({}))

    async def _follow(
        self, conn: Connection, versions: Mapping[str, int], *, at_most: int | None = None
    ) -> View | None:
        """Bring the newest view to the snapshot of ``conn``; None when that is too much, or the snapshot is older."""
        if not self._views:  # everything is read anew just now
            return None
        newest = self._views[-1]
        if any(version < newest.versions.get(feed, 0) for feed, version in versions.items()):
            return None
        distance = await measure_distance(conn, newest)
        if distance.stones is None:
            self._reload = True
            return None
        if at_most is not None and distance.stones > at_most:
            return None
        view = await follow(conn, newest, versions)
        self._views.append(view)
        return view

    def _view_of(self, versions: Mapping[str, int]) -> View | None:
        return next((view for view in reversed(self._views) if view.versions == versions), None)


async def _give_back(kept: deque[AsyncExitStack], *, all_but: int = 0) -> None:
    """End the transactions of what was lent, the oldest first. One whose connection broke has ended already."""
    while len(kept) > all_but:
        with suppress(psycopg.Error):
            await kept.popleft().aclose()


def _is_far(distance: Distance) -> bool:
    return distance.stones is not None and distance.stones > _MOST_IN_PASSING


def _is_behind(view: View, versions: Mapping[str, int]) -> bool:
    return any(view.versions.get(feed, 0) < version for feed, version in versions.items())


def _fits(filters: Mapping[str, Any]) -> bool:
    return is_in_memory([FILTERS[name].condition for name in filters])
