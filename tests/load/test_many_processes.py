"""Ten workers and four consolidators, each a process of its own, share one run on one PostgreSQL."""

from pathlib import Path

import pytest

from pipeline_builders import Pool
from pipeline_processes import (
    SMALL_STEPS,
    Processes,
    assert_same,
    changed_supplier,
    content,
    inventory,
    quiet_content,
    until_over,
)

_WORKERS, _CONSOLIDATORS = 10, 4


@pytest.mark.long  # fourteen processes are started
@pytest.mark.timeout(400)
async def test_ten_workers_and_four_consolidators_do_what_one_of_each_does(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    slow = inventory(77, answer_delay_seconds=0.05)
    steps = {**SMALL_STEPS, "records_per_worker": 15, "heatmap_min_records_per_worker": 5}
    expected = await quiet_content(slow, pool, database_url, steps=steps)
    async with (
        changed_supplier(slow, database_url, steps=steps) as simulator,
        Processes(database_url, simulator, tmp_path, **steps) as all_of_them,
    ):
        for _ in range(_WORKERS):
            await all_of_them.start("worker")
        for _ in range(_CONSOLIDATORS):
            await all_of_them.start("consolidator")
        assert await all_of_them.run("schedule", "--type", "full") == 0
        await until_over(pool, all_of_them)
        assert_same(await content(pool), expected)
        async with pool.connection() as conn:
            cursor = await conn.execute(
                "SELECT count(DISTINCT worker_id) FROM worker_runs WHERE started_at > now() - interval '5 minutes'"
            )
            [(workers,)] = await cursor.fetchall()
    assert workers >= 5, "the work was not shared"
