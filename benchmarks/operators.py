"""The operators' routes through the API in this process, over as many stones as asked for and a thousand runs."""

import itertools
import statistics
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx2

from benchmarks.world import database
from diamond_opus.alerts.log import LogAlerts
from diamond_opus.api.app import create_app
from diamond_opus.api.dependencies import ApiDependencies
from diamond_opus.api.operators import ended_with
from diamond_opus.db.pool import Pool, open_pool
from diamond_opus.db.queries import load_queries
from diamond_opus.domain.clock import SystemClock
from diamond_opus.keys.api_keys import create_key
from diamond_opus.queue.limits import LIMITS
from diamond_opus.queue.postgres import PostgresQueue
from diamond_opus.queue.protocol import QUEUES
from diamond_opus.settings import load_settings
from diamond_opus.watermark.postgres import PostgresWatermarkStore
from diamond_opus.wiring import Pipeline, mappers, migrate_database

RUNS = 1_000
REQUESTS = 200
TARGET_MS = 50.0
#: As many clients ask by turns, each well below any limit of requests a minute.
CLIENTS = 50

_QUERIES = load_queries("benchmarks", "operators.sql")
_ROUTES: Mapping[str, str] = {
    "summary": "/analytics/summary",
    "runs": "/analytics/runs",
    "runs_last_page": "/analytics/runs?limit=100&page=10",
    "runs_failed": "/analytics/runs?status=failed&run_type=full",
    "run": "/analytics/runs/{run}",
    "quality": "/analytics/runs/{run}/quality",
    "failed_workers": "/analytics/failed-workers?limit=100",
    "feeds": "/analytics/feeds",
    "suppliers": "/analytics/suppliers",
    "consolidation": "/analytics/consolidation",
    "consolidation_status": "/analytics/consolidation/status?limit=50",
    "consolidation_run": "/analytics/consolidation/{run}",
    "error_logs": "/analytics/error-logs",
    "error_services": "/analytics/error-logs/services",
    "rejected": "/analytics/rejected",
    "rejected_by_reason": "/analytics/rejected?reason=reason+3&resolved=false",
    "audit_log": "/analytics/audit-log",
    "dead_letters": "/analytics/dead-letters",
    "watermark": "/analytics/watermark",
    "heatmap_history": "/heatmap/history",
    "failed_partitions": "/triggers/failed-workers/{run}",
}


@dataclass(frozen=True, slots=True)
class Timing:
    first: float
    p50: float
    p99: float


async def measure(rows: int, sessions: int, _batch_size: int | None) -> dict[str, float | int]:
    """Milliseconds; ``first`` of the summary is the one count that all others share."""
    with database() as server:
        await migrate_database(server.url)
        async with open_pool(server.url, application_name="benchmark", max_size=sessions) as pool:
            filling = time.perf_counter()
            await _fill(pool, rows)
            figures: dict[str, float | int] = {
                "stones": rows,
                "runs": RUNS,
                "fill_seconds": time.perf_counter() - filling,
                "target_p99_ms": TARGET_MS,
            }
            timings = await _time_routes(pool)
            for name, timing in timings.items():
                figures |= {f"{name}_p50_ms": timing.p50, f"{name}_p99_ms": timing.p99}
            figures["summary_first_ms"] = timings["summary"].first
            figures["summary_changing_p99_ms"] = (await _time_while_changing(pool)).p99
            figures["slowest_p99_ms"] = max(timing.p99 for timing in timings.values())
    return figures


async def _fill(pool: Pool, rows: int) -> None:
    values = {"rows": rows, "runs": RUNS}
    async with pool.connection() as conn:
        for query in _QUERIES.values():
            used = {name: value for name, value in values.items() if f"%({name})s" in query}
            # Even a query without values has doubled percent signs.
            await conn.execute(query, used)
        await conn.execute("VACUUM (ANALYZE)")
        await conn.execute("CHECKPOINT")


async def _time_routes(pool: Pool) -> dict[str, Timing]:
    async with pool.connection() as conn:
        cursor = await conn.execute("SELECT run_id FROM run_metadata WHERE state = 'failed' LIMIT 1")
        row = await cursor.fetchone()
    run = row[0] if row else ""
    async with _api(pool) as client:
        return {name: await _time(client, path.format(run=run)) for name, path in _ROUTES.items()}


async def _time_while_changing(pool: Pool) -> Timing:
    """The summary while a consolidation raises the version between any two questions."""
    async with _api(pool) as client:
        await client.get("/analytics/summary")
        milliseconds = []
        for _ in range(REQUESTS):
            async with pool.connection() as conn:
                await conn.execute("UPDATE dataset_versions SET version = version + 1, updated_at = now()")
            milliseconds.append(await _ask(client, "/analytics/summary"))
    return _timing(milliseconds)


@asynccontextmanager
async def _api(pool: Pool) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application as the product makes it; its requests carry many admin keys by turns."""
    clock = SystemClock()
    pipeline = Pipeline(
        settings=load_settings(),
        pool=pool,
        sources={},
        mappers=mappers(),
        queues={name: PostgresQueue(pool, name, LIMITS[name]) for name in QUEUES},
        watermarks=PostgresWatermarkStore(pool),
        alerts=LogAlerts(),
        clock=clock,
        process_id=uuid4(),
    )
    async with pool.connection() as conn:
        made = [
            await create_key(
                conn, name="benchmark", permissions=["admin"], actor="benchmark", now=clock.now()
            )
            for _ in range(CLIENTS)
        ]
    keys = itertools.cycle(text for text, _ in made)

    async def take_turns(request: httpx2.Request) -> None:
        request.headers["X-API-Key"] = next(keys)

    app = create_app(ApiDependencies(pool=pool, pipeline=pipeline, version="benchmark", clock=clock))
    async with (
        ended_with(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://api.test/api/v2",
            event_hooks={"request": [take_turns]},
            timeout=120,
        ) as client,
    ):
        yield client


async def _time(client: httpx2.AsyncClient, path: str) -> Timing:
    return _timing([await _ask(client, path) for _ in range(REQUESTS)])


async def _ask(client: httpx2.AsyncClient, path: str) -> float:
    started = time.perf_counter()
    answer = await client.get(path)
    milliseconds = (time.perf_counter() - started) * 1000
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
    return milliseconds


def _timing(milliseconds: list[float]) -> Timing:
    """The first answer apart: it warms what all others use."""
    later = milliseconds[1:]
    return Timing(milliseconds[0], statistics.median(later), statistics.quantiles(later, n=100)[98])
