"""Later runs: consolidation when nothing changed and when 1 % changed, against the first load of the same stones."""

import time
from datetime import UTC, datetime
from uuid import UUID

from benchmarks.consolidate import completed_stones
from benchmarks.world import load_raw, world
from diamond_opus.runs import store as runs
from diamond_opus.runs.model import RunPlan, RunType
from diamond_opus.wiring import NIVODA, Pipeline


async def measure(rows: int, sessions: int, batch_size: int | None) -> dict[str, float | int]:
    async with world(rows, sessions, batch_size) as (pipeline, _):
        first = await _consolidate(pipeline, await load_raw(pipeline))
        nothing = await _consolidate(pipeline, await next_run(pipeline, changed_of_1000=0))
        some = await _consolidate(pipeline, await next_run(pipeline, changed_of_1000=10))
        stones = await completed_stones(pipeline)
    return {
        "stones": stones,
        "first_seconds": first,
        "unchanged_seconds": nothing,
        "unchanged_ratio": nothing / first,
        "unchanged_target_ratio": 0.05,
        "one_percent_seconds": some,
        "one_percent_ratio": some / first,
        "one_percent_target_ratio": 0.15,
    }


async def _consolidate(pipeline: Pipeline, run_id: UUID) -> float:
    started = time.perf_counter()
    await pipeline.consolidator().consolidate(run_id)
    return time.perf_counter() - started


async def next_run(pipeline: Pipeline, *, changed_of_1000: int) -> UUID:
    """A full run that saw every stone again, some of them with another price."""
    plan = RunPlan(NIVODA, RunType.FULL, None, datetime.now(UTC), None, "benchmark", 0, ())
    async with pipeline.pool.connection() as conn:
        run_id = await runs.create_run(conn, plan)
        await conn.execute(
            "UPDATE raw_diamonds SET last_seen_run_id = %s, last_seen_at = clock_timestamp()", [run_id]
        )
        await conn.execute(
            """
            UPDATE raw_diamonds
            SET run_id = %s,
                consolidated = FALSE,
                payload_hash = reverse(payload_hash),
                payload = regexp_replace(payload::text, '"price":([1-9]\\d*)', '"price":\\11')::json,
                asked_price_to = NULL
            WHERE abs(hashtext(supplier_stone_id)) %% 1000 < %s
            """,
            [run_id, changed_of_1000],
        )
        await conn.execute("VACUUM (ANALYZE) raw_diamonds")
        await conn.execute("CHECKPOINT")
    return run_id
