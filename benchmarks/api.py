"""One API process over HTTP: requests a second, answer times, and what it adds to the bare SQL of a page."""

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

import aiohttp

from benchmarks.catalogue import QUERIES, catalogue
from benchmarks.world import Served
from diamond_opus.catalog.search import page_statement, parse_search
from diamond_opus.db.pool import Pool
from diamond_opus.keys.api_keys import create_key

#: Pages that an index of the database serves too, so that their bare SQL is a fair limit.
_INDEXED = ("", "sort_by=price&sort_order=asc", "sort_by=created_at&sort_order=asc")
Ask = Callable[[str], Awaitable[None]]

_CLIENTS = 8
_REQUESTS = 3_000


async def measure(rows: int, _sessions: int, _batch_size: int | None) -> dict[str, float | int]:
    async with (
        catalogue(rows) as (pool, _, _),
        read_key(pool) as key,
        api_process(str(pool.conninfo)) as api,
        shop(api, key) as get,
    ):
        alone = await _sequential(_INDEXED, get)
        bare = await _sequential(_INDEXED, lambda query: _bare_sql(pool, query))
        processor_before = api.cpu_seconds()
        seconds, together = await load(get, _REQUESTS)
        processor = api.cpu_seconds() - processor_before
    cuts = quantiles(together, n=100)
    return {
        "stones": rows,
        "clients": _CLIENTS,
        "requests_per_second": _REQUESTS / seconds,
        "processor_ms_per_request": 1000 * processor / _REQUESTS,
        "p50_ms": cuts[49],
        "p99_ms": cuts[98],
        "page_alone_p50_ms": median(alone),
        "bare_sql_p50_ms": median(bare),
        "overhead_ms": median(alone) - median(bare),
        "overhead_target_ms": 2.0,
    }


async def _sequential(queries: Sequence[str], ask: Callable[[str], Awaitable[Any]]) -> list[float]:
    times = []
    for query in list(queries) * 100:
        started = time.perf_counter()
        await ask(query)
        times.append((time.perf_counter() - started) * 1000)
    return times


@asynccontextmanager
async def shop(api: Served, key: str) -> AsyncIterator[Ask]:
    """What asks for a page of stones, and has read it when it returns."""

    async def get(query: str) -> None:
        async with session.get(f"/api/v2/diamonds?{query}") as response:
            await response.read()
            response.raise_for_status()

    async with aiohttp.ClientSession(api.url, headers={"X-API-Key": key}) as session:
        yield get


async def load(get: Ask, requests: int) -> tuple[float, list[float]]:
    """The seconds of all, and the milliseconds of each: eight clients, each with the next when it has its answer."""
    questions = random.Random(2).choices(QUERIES, k=requests)
    times: list[float] = []

    async def client() -> None:
        while questions:
            query = questions.pop()
            started = time.perf_counter()
            await get(query)
            times.append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return time.perf_counter() - started, times


async def _bare_sql(pool: Pool, query: str) -> None:
    statement, parameters = page_statement(parse_search(parse_qsl(query), with_cost=False))
    async with pool.connection() as conn:
        await (await conn.execute(statement, parameters)).fetchall()


@asynccontextmanager
async def read_key(pool: Pool) -> AsyncIterator[str]:
    async with pool.connection() as conn:
        key, _ = await create_key(
            conn, name="benchmark", permissions=["read"], actor="benchmark", now=datetime.now(UTC)
        )
    yield key


@asynccontextmanager
async def api_process(
    database_url: str, more: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Served]:
    """A ``diamond api`` of its own whose index is loaded, with ``more`` in its environment."""
    environment = {
        **os.environ,
        **more,
        "DATABASE_URL": database_url,
        "PORT": "0",
        "PG_POOL_MAX": str(_CLIENTS),
        "LOG_FORMAT": "json",
        "RATE_LIMIT_READ_PER_MINUTE": "10000000",
    }
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("diamond")), "api", env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("the API's output is not piped")
    draining: asyncio.Task[None] | None = None
    try:
        address = (await process.stdout.readline()).decode().strip()
        async for line in process.stderr:
            if b"catalog_index_loaded" in line:
                break
        draining = asyncio.create_task(_drain(process.stderr))
        yield Served(address, process.pid)
    finally:
        process.terminate()
        await process.wait()
        if draining is not None:
            await draining


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        pass
