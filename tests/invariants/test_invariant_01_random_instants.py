"""Kill processes at any instant of a run: it resumes by itself and ends with the same rows."""

import asyncio
import random
from pathlib import Path

import pytest

from pipeline_builders import Pool
from pipeline_processes import (
    Processes,
    assert_same,
    changed_supplier,
    content,
    inventory,
    newest_run,
    quiet_content,
    until_a_run_after,
    until_over,
)

SCHEDULE = ("schedule", "--type", "full")


@pytest.mark.long  # a dozen processes are started
@pytest.mark.timeout(400)
async def test_invariant_01_processes_killed_at_random_instants_change_nothing(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    rng = random.Random(1)
    slow = inventory(21, answer_delay_seconds=0.1)
    expected = await quiet_content(slow, pool, database_url)
    async with (
        changed_supplier(slow, database_url) as simulator,
        Processes(database_url, simulator, tmp_path) as processes,
    ):
        assert await processes.run(*SCHEDULE) == 0
        commands = ["worker", "worker", "consolidator"]
        alive = [await processes.start(command) for command in commands]
        for _ in range(6):
            await asyncio.sleep(rng.uniform(0.3, 1.5))
            victim = rng.randrange(3)
            await processes.kill(alive[victim])
            alive[victim] = await processes.start(commands[victim])
        await until_over(pool, processes)
        assert_same(await content(pool), expected)


@pytest.mark.long  # three processes one after the other, each waiting for the lease of the one before
@pytest.mark.timeout(400)
async def test_invariant_01_a_whole_run_in_one_process_is_finished_by_the_next_one(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    rng = random.Random(3)
    slow = inventory(30, answer_delay_seconds=0.05)
    expected = await quiet_content(slow, pool, database_url)
    async with (
        changed_supplier(slow, database_url) as simulator,
        Processes(database_url, simulator, tmp_path) as processes,
    ):
        first = await newest_run(pool)
        for _ in range(2):
            process = await processes.start("run", "--type", "full", "--json")
            await until_a_run_after(pool, first["run_id"])
            await asyncio.sleep(rng.uniform(0.2, 1.5))
            await processes.kill(process)
        assert await processes.run("run", "--type", "full", "--json") == 0, processes.log.read_text()[-3000:]
        assert_same(await content(pool), expected)
