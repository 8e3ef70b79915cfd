"""Nivoda as a source of stones: counts, pages and look-ups of a selection, as the protocol words them."""

import random
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import Retryable
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.budget import RequestBudget
from diamond_opus.feeds.health import SupplierHealth
from diamond_opus.feeds.nivoda.answers import read_count, read_page
from diamond_opus.feeds.nivoda.connection import NivodaAccount, NivodaConnection, Question
from diamond_opus.feeds.nivoda.errors import BadAnswer
from diamond_opus.feeds.nivoda.query_filter import COLORS, OLDEST_FIRST, SHAPES, build_lookup, build_query
from diamond_opus.feeds.protocol import NONE_KNOWN, KnownItems, Page, Presence, RawItem

#: The supplier's own limit; what it does above is not known.
PAGE_LIMIT = 50


class NivodaClient:
    """``StoneSource`` over Nivoda's GraphQL API.

    ``base_filter`` narrows the inventory: a DiamondQuery as ``validate_filter`` returns it. Close the client
    after use (``async with``). Several selections may be asked at a time; the budget spaces the requests.
    """

    def __init__(
        self,
        account: NivodaAccount,
        *,
        budget: RequestBudget,
        clock: Clock,
        base_filter: Mapping[str, Any] | None = None,
        health: SupplierHealth | None = None,
        jitter: random.Random | None = None,
    ) -> None:
        self._base = dict(base_filter or {})
        self.connection = NivodaConnection(account, budget=budget, clock=clock, health=health, jitter=jitter)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self.connection.aclose()

    @property
    def name(self) -> str:
        return "nivoda"

    @property
    def page_limit(self) -> int:
        return PAGE_LIMIT

    @property
    def shapes(self) -> Sequence[str]:
        """Every shape of the supplier's filter, or those of the base filter."""
        return tuple(self._base.get("shapes", SHAPES))

    @property
    def colors(self) -> Sequence[str]:
        return tuple(self._base.get("color", COLORS))

    async def check(self) -> int:
        """Log in anew and count the natural stones, for ``doctor``. Raises ``Retryable`` or ``Fatal``."""
        await self.connection.log_in()
        return await self.count(Selection(lab_grown=False))

    async def count(self, selection: Selection) -> int:
        query = build_query(self._base, selection)
        if query is None:
            return 0
        return await self._count(query, f"count of {selection}")

    async def read_page(
        self, selection: Selection, *, offset: int, limit: int, known: KnownItems = NONE_KNOWN
    ) -> Page:
        """Rows ``offset`` and on; a page may be short anywhere, only an empty one is the end.

        Items beside which the supplier reports errors are used; null items come as ``Unreadable``. A row of the same
        bytes as one of ``known`` comes as that item.
        """
        if offset < 0 or limit < 1:
            raise ValueError(f"no page has offset {offset} and limit {limit}")
        query = build_query(self._base, selection)
        if query is None:
            return Page(())
        return await self._page(query, offset, limit, f"page at offset {offset} of {selection}", known)

    async def look_up(self, supplier_stone_ids: Sequence[str], *, lab_grown: bool) -> Presence:
        """Ask for stones by id, page by page until an empty one, because any page may be short.

        Where an item came as null it may be any of the stones not shown, so each of those is counted alone.
        """
        wanted = set(supplier_stone_ids)
        if len(wanted) > PAGE_LIMIT:
            raise ValueError(f"{len(wanted)} stones in one look-up, at most {PAGE_LIMIT}")
        query = build_lookup(self._base, sorted(wanted), lab_grown=lab_grown)
        found: list[RawItem] = []
        missing = set(wanted)
        offset = 0
        doubtful = False
        while missing:
            subject = f"look-up of {len(wanted)} stones at offset {offset}"
            page = await self._page(query, offset, PAGE_LIMIT, subject)
            if not page.rows:
                break
            shown = [row for row in page.rows if isinstance(row, RawItem)]
            _refuse_strangers(shown, wanted)
            found += shown
            missing -= {row.supplier_stone_id for row in shown}
            offset += len(page.rows)
            doubtful = doubtful or len(shown) < len(page.rows)
            if offset >= 2 * PAGE_LIMIT:  # more rows than stones were asked for: no end will prove anything
                doubtful = True
                break
        if not doubtful:
            return Presence(found, frozenset())
        uncertain = [stone for stone in sorted(missing) if await self._is_counted(stone, lab_grown)]
        return Presence(found, frozenset(uncertain))

    async def is_answering(self) -> bool:
        query = build_query(self._base, Selection(lab_grown=False, price_to=1))
        try:
            await self._count(query or self._base, "count to see whether it answers", tries=1)
        except Retryable:
            return False
        return True

    async def _page(
        self,
        query: Mapping[str, Any],
        offset: int,
        limit: int,
        subject: str,
        known: KnownItems = NONE_KNOWN,
    ) -> Page:
        limit = min(limit, PAGE_LIMIT)
        variables = {"query": query, "order": OLDEST_FIRST, "offset": offset, "limit": limit}
        return await self.connection.ask(
            Question("Page", variables, subject, partial(read_page, known=known))
        )

    async def _is_counted(self, stone: str, lab_grown: bool) -> bool:
        query = build_lookup(self._base, [stone], lab_grown=lab_grown)
        return await self._count(query, f"count of stone {stone}") > 0

    async def _count(self, query: Mapping[str, Any], subject: str, *, tries: int | None = None) -> int:
        question = Question("Count", {"query": query}, subject, read_count)
        return await self.connection.ask(question, tries=tries)


def _refuse_strangers(rows: Sequence[RawItem], wanted: set[str]) -> None:
    """A filter that was not honoured proves nothing about the stones that are missing."""
    for row in rows:
        if row.supplier_stone_id not in wanted:
            raise BadAnswer(
                f"nivoda: look-up of {len(wanted)} stones answered with {row.supplier_stone_id}, which was "
                "not asked for; nothing follows about the others"
            )
