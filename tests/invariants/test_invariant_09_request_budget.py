"""The supplier's budget holds across all processes, logins included.

tests/feeds/test_budget.py tests the budget itself; here two workers of the product share one.
"""

from pathlib import Path

import pytest

from booked_slots import count_slots, note_slots
from diamond_opus.feeds.budget import account_key
from diamond_opus.simulator.server import Simulator
from pipeline_builders import Pool
from pipeline_processes import Processes, inventory, newest_run, until_over

RATE = 20

#: Arrivals are seen late by a test process that waits for a processor, so they are held only against what two budgets
#: side by side would make of them; the booked slots are held against the rate itself.
TWO_BUDGETS = 2 * RATE


@pytest.mark.long  # several seconds of requests at a limited rate, and the processes' own start
@pytest.mark.timeout(400)
async def test_invariant_09_two_workers_and_a_planner_never_ask_more_in_one_second_than_allowed(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    async with (
        Simulator(inventory(50)) as simulator,
        Processes(
            database_url, simulator, tmp_path, nivoda_max_requests_per_second=RATE, worker_lease_seconds=30
        ) as processes,
    ):
        await begin_at_full_rate(pool, simulator)
        assert await processes.run("schedule", "--type", "full") == 0
        for command in ("worker", "worker", "consolidator"):
            await processes.start(command)
        await until_over(pool, processes)
        stats = simulator.stats()
    assert (await newest_run(pool))["state"] == "completed"
    assert stats["by_kind"]["login"] >= 3, "every process logs in for itself"
    assert stats["requests"] >= 60
    assert stats["max_requests_in_one_second"] < TWO_BUDGETS
    slots, in_one_second = await count_slots(pool)
    assert slots >= stats["requests"], "no request without a slot of its own"
    assert in_one_second <= RATE
    async with pool.connection() as conn:
        cursor = await conn.execute(b"SELECT count(DISTINCT worker_id) FROM worker_runs")
        assert await cursor.fetchone() == (2,)


async def begin_at_full_rate(pool: Pool, simulator: Simulator) -> None:
    """A rate that climbs from 2 a second would not come near its limit in so short a run."""
    account = account_key(simulator.url, simulator.supplier.settings.username)
    await note_slots(pool)
    async with pool.connection() as conn:
        await conn.execute(
            b"INSERT INTO request_budget (account, rate, next_slot_at, updated_at) VALUES (%s, %s, now(), now())",
            (account, RATE),
        )
