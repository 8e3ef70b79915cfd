"""Shops search at a steady rate while every stone of the catalogue is consolidated anew, by processes as shipped."""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import quantiles
from uuid import UUID

import aiohttp

from benchmarks.api import api_process, read_key
from benchmarks.catalogue import QUERIES
from benchmarks.refresh import next_run
from benchmarks.world import diamond, load_raw, world
from diamond_opus.runs import store as runs
from diamond_opus.wiring import Pipeline

_CONNECTIONS = 200
_PER_SECOND = 100
_QUIET_SECONDS = 20


@dataclass(slots=True)
class Load:
    """Milliseconds from when each request was due until its answer was read; what failed, by reason."""

    times: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def tell(self, name: str) -> dict[str, float | int]:
        cuts = quantiles(self.times, n=100)
        return {
            f"{name}_requests": len(self.times),
            f"{name}_errors": self.errors.total(),
            f"{name}_p50_ms": cuts[49],
            f"{name}_p99_ms": cuts[98],
            f"{name}_max_ms": max(self.times),
        }


async def measure(rows: int, sessions: int, batch_size: int | None) -> dict[str, float | int]:
    async with world(rows, sessions, batch_size) as (pipeline, _):
        await pipeline.consolidator().consolidate(await load_raw(pipeline))
        async with read_key(pipeline.pool) as key, api_process(str(pipeline.pool.conninfo)) as api:
            until = time.monotonic() + _QUIET_SECONDS
            quiet = await _load(api.url, key, lambda: time.monotonic() < until)
            run_id = await next_run(pipeline, changed_of_1000=1000)
            started = time.perf_counter()
            environment = {**os.environ, "DATABASE_URL": str(pipeline.pool.conninfo), "LOG_FORMAT": "json"}
            async with diamond(environment, "consolidator"), _Run(pipeline, run_id) as run:
                busy = await _load(api.url, key, lambda: not run.is_over)
            seconds = time.perf_counter() - started
    for reason, count in busy.errors.items():
        print(f"{count} times: {reason}", file=sys.stderr)
    figures = {**quiet.tell("quiet"), **busy.tell("under_load")}
    return {
        "stones": rows,
        "connections": _CONNECTIONS,
        "requests_per_second": _PER_SECOND,
        "consolidation_seconds": seconds,
        **figures,
        "under_load_target_p99_ms": 100.0,
        "p99_ratio": figures["under_load_p99_ms"] / figures["quiet_p99_ms"],
    }


class _Run:
    """Watches a run to its end."""

    def __init__(self, pipeline: Pipeline, run_id: UUID) -> None:
        self._pipeline = pipeline
        self._run_id = run_id
        self.is_over = False

    async def __aenter__(self) -> "_Run":
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._watching

    async def _watch(self) -> None:
        while not self.is_over:
            await asyncio.sleep(0.2)
            async with self._pipeline.pool.connection() as conn:
                self.is_over = (await runs.get_run(conn, self._run_id)).state.is_over


async def _load(address: str, key: str, goes_on: Callable[[], bool]) -> Load:
    """Open loop: a request is due every so many milliseconds, however long the ones before it take."""
    load, questions = Load(), random.Random(3)
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(
                aiohttp.ClientSession(
                    address, headers={"X-API-Key": key}, connector=aiohttp.TCPConnector(limit=1)
                )
            )
            for _ in range(_CONNECTIONS)
        ]
        asking: set[asyncio.Task[None]] = set()
        due = time.perf_counter()
        number = 0
        while goes_on():
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            session = sessions[number % _CONNECTIONS]
            task = asyncio.create_task(_ask(session, questions.choice(QUERIES), due, load))
            asking.add(task)
            task.add_done_callback(asking.discard)
            number += 1
            due += 1 / _PER_SECOND
        await asyncio.gather(*asking)
    return load


async def _ask(session: aiohttp.ClientSession, query: str, due: float, load: Load) -> None:
    try:
        async with session.get(f"/api/v2/diamonds?{query}") as response:
            text = await response.text()
            if response.status != 200:
                load.errors[f"{response.status} {text[:200]}"] += 1
    except (aiohttp.ClientError, TimeoutError) as error:
        load.errors[repr(error)] += 1
    load.times.append((time.perf_counter() - due) * 1000)
