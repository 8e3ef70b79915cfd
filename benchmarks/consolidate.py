"""First load: map, price, merge and mark pending raw rows, against a binary COPY of the finished rows."""

import resource
import time

from benchmarks.world import copy_seconds, load_raw, world
from diamond_opus.analytics.runs import newest_runs
from diamond_opus.consolidate.rows import COLUMNS
from diamond_opus.wiring import Pipeline

_COPIED = ", ".join(COLUMNS)


async def measure(rows: int, sessions: int, batch_size: int | None) -> dict[str, float | int]:
    async with world(rows, sessions, batch_size) as (pipeline, _):
        run_id = await load_raw(pipeline)
        processor_before = time.process_time()
        started = time.perf_counter()
        await pipeline.consolidator().consolidate(run_id)
        seconds = time.perf_counter() - started
        processor = time.process_time() - processor_before
        stones = await completed_stones(pipeline)
        limit = await copy_seconds(pipeline.pool, "diamonds", _COPIED, sessions)
    return {
        "stones": stones,
        "sessions": sessions,
        "seconds": seconds,
        "limit_seconds": limit,
        "ratio": seconds / limit,
        "target_ratio": 1.5,
        "stones_per_second": stones / seconds,
        "our_processor_seconds": processor,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


async def completed_stones(pipeline: Pipeline) -> int:
    """How many diamonds there are, after making sure that the run they come from completed."""
    async with pipeline.pool.connection() as conn:
        [run] = await newest_runs(conn, limit=1)
        if run.state != "completed":
            raise RuntimeError(f"the run is {run.state}: {run.error}")
        row = await (await conn.execute("SELECT count(*) FROM diamonds")).fetchone()
    return int(row[0]) if row else 0
