"""Reading: from an unthrottled simulator to committed raw rows, against a binary COPY of the same payloads."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.world import copy_seconds, world
from diamond_opus.cli.drive import plan
from diamond_opus.cli.follow import SilentView
from diamond_opus.runs import store as runs
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.wiring import NIVODA, Pipeline

_COPIED = (
    "feed, supplier_stone_id, id, run_id, offer_id, payload, payload_hash, consolidated, asked_lab_grown, "
    "asked_price_from, asked_price_to, fetched_at, last_seen_at, last_seen_run_id"
)


async def measure(rows: int, sessions: int, batch_size: int | None) -> dict[str, float | int]:
    async with world(rows, sessions, batch_size) as (pipeline, simulator):
        simulator_before, ours_before = simulator.cpu_seconds(), time.process_time()
        started = time.perf_counter()
        async with _consuming(pipeline):
            pages = await _ingest(pipeline)
            seconds = time.perf_counter() - started
            processor = time.process_time() - ours_before
            simulated = simulator.cpu_seconds() - simulator_before
        async with pipeline.pool.connection() as conn:
            row = await (await conn.execute("SELECT count(*) FROM raw_diamonds")).fetchone()
        limit = await copy_seconds(pipeline.pool, "raw_diamonds_nivoda", _COPIED, sessions)
    return {
        "stones": int(row[0]) if row else 0,
        "pages": pages,
        "seconds": seconds,
        "simulator_processor_seconds": simulated,
        "our_processor_seconds": processor,
        "limit_seconds": limit,
        "ratio": seconds / limit,
        "ratio_without_simulator": (seconds - simulated) / limit,
        "target_ratio": 2.0,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


@asynccontextmanager
async def _consuming(pipeline: Pipeline) -> AsyncIterator[None]:
    """Workers that wait for what comes. Stopping them takes up to a second, the length of one wait at the queue."""
    stop = asyncio.Event()
    working = asyncio.create_task(pipeline.consume_work(stop))
    try:
        yield
    finally:
        stop.set()
        await working


async def _ingest(pipeline: Pipeline) -> int:
    """Plan a full run and see it read; returns how many pages that took."""
    run = await plan(pipeline, NIVODA, RunType.FULL, SilentView())
    while run.state in (RunState.PLANNED, RunState.INGESTING):
        await asyncio.sleep(0.05)
        async with pipeline.pool.connection() as conn:
            run = await runs.get_run(conn, run.run_id)
    if run.state is not RunState.INGESTED:
        raise RuntimeError(f"the run is {run.state}: {run.error}")
    async with pipeline.pool.connection() as conn:
        partitions = await runs.list_partitions(conn, run.run_id)
    return sum(partition.pages_read for partition in partitions)
