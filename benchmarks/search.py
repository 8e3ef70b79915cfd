"""Search in the API's process: a page with its exact total, the same with facets, and the bare SQL of the page."""

import random
import resource
import time
from collections.abc import Awaitable, Callable
from statistics import quantiles
from typing import Any
from urllib.parse import parse_qsl

from benchmarks.catalogue import QUERIES, catalogue
from diamond_opus.api.answers import answer_json
from diamond_opus.catalog.engine import Catalog
from diamond_opus.catalog.search import parse_filters, parse_search, search_by_sql
from diamond_opus.db.pool import Pool, transaction

_ROUNDS = 60
_NOT_FILTERS = ("sort_by", "sort_order", "page", "limit")


async def measure(rows: int, _sessions: int, _batch_size: int | None) -> dict[str, float | int]:
    async with catalogue(rows) as (pool, catalog, load_seconds):
        page = await _times(lambda query: _ask_page(pool, catalog, query))
        both = await _times(lambda query: _ask_both(pool, catalog, query))
        by_sql = await _times(lambda query: _ask_by_sql(pool, query), rounds=3)
    return {
        "stones": rows,
        "index_load_seconds": load_seconds,
        **_tell("page", page),
        "page_target_p50_ms": 5.0,
        **_tell("page_and_facets", both),
        "page_and_facets_target_p50_ms": 10.0,
        "page_and_facets_target_p99_ms": 25.0,
        **_tell("sql_without_index", by_sql),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


async def _times(ask: Callable[[str], Awaitable[Any]], *, rounds: int = _ROUNDS) -> list[float]:
    """Milliseconds of each question, in random order."""
    questions = list(QUERIES) * rounds
    random.Random(1).shuffle(questions)
    for query in QUERIES:
        await ask(query)
    times = []
    for query in questions:
        started = time.perf_counter()
        await ask(query)
        times.append((time.perf_counter() - started) * 1000)
    return times


async def _ask_page(pool: Pool, catalog: Catalog, query: str) -> None:
    search = parse_search(parse_qsl(query), with_cost=False)
    async with pool.connection() as conn, transaction(conn, statement_timeout_ms=5000, snapshot=True):
        moment = await catalog.at(conn)
        page = await catalog.search(conn, moment, search)
    answer_json({"data": page.diamonds, "total": page.total})


async def _ask_both(pool: Pool, catalog: Catalog, query: str) -> None:
    pairs = parse_qsl(query)
    search = parse_search(pairs, with_cost=False)
    filters = parse_filters([pair for pair in pairs if pair[0] not in _NOT_FILTERS], with_cost=False)
    async with pool.connection() as conn, transaction(conn, statement_timeout_ms=5000, snapshot=True):
        moment = await catalog.at(conn)
        page = await catalog.search(conn, moment, search)
        facets = await catalog.facets(conn, moment, filters)
    answer_json({"data": page.diamonds, "total": page.total, "facets": facets.values})


async def _ask_by_sql(pool: Pool, query: str) -> None:
    async with pool.connection() as conn, transaction(conn, snapshot=True):
        await search_by_sql(conn, parse_search(parse_qsl(query), with_cost=False))


def _tell(name: str, times: list[float]) -> dict[str, float]:
    cuts = quantiles(times, n=100)
    return {f"{name}_p50_ms": cuts[49], f"{name}_p99_ms": cuts[98]}
