"""Questions to a catalogue in a test, answered by SQL or by the index, in one snapshot."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from diamond_opus.catalog.engine import Catalog, Moment
from diamond_opus.catalog.facets import FacetCounts
from diamond_opus.catalog.search import SearchPage, parse_filters, parse_search
from diamond_opus.db.pool import Connection, Pool, transaction


@dataclass(frozen=True, slots=True)
class Asker:
    """A connection in a snapshot, and the catalogue at that moment."""

    conn: Connection
    catalog: Catalog
    moment: Moment


@asynccontextmanager
async def asking(pool: Pool, *, by_index: bool, catalog: Catalog | None = None) -> AsyncIterator[Asker]:
    """``catalog`` is one that was loaded before; it follows what changed since."""
    catalog = catalog or Catalog()
    if by_index:
        await catalog.refresh(pool)
    async with pool.connection() as conn, transaction(conn, snapshot=True):
        moment = await catalog.at(conn)
        assert (moment.view is not None) is by_index
        yield Asker(conn, catalog, moment)


def pairs_of(query: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]


async def ask(asker: Asker, query: str, *, with_cost: bool = True) -> SearchPage:
    search = parse_search(pairs_of(query), with_cost=with_cost)
    return await asker.catalog.search(asker.conn, asker.moment, search)


async def ask_facets(asker: Asker, query: str) -> FacetCounts:
    filters = parse_filters(pairs_of(query), with_cost=True)
    return await asker.catalog.facets(asker.conn, asker.moment, filters)
