"""Whatever the supplier sends, each process stays small, and what cannot be read says why."""

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Answer, Script, ScriptedSupplier, Seen, count_answer, login_answer

from diamond_opus.testing import make_item
from pipeline_builders import Pool
from pipeline_processes import Processes, newest_run

_MEGABYTE = 1024 * 1024
_MOST_MEGABYTES = 400
_STONES = 400


class Heavy(ScriptedSupplier):
    """Counts 400 stones of each type, all of 100.50 dollars, and answers every page as the test wishes."""

    def __init__(self, page: Callable[[Seen], Answer]) -> None:
        super().__init__()
        self.page = page

    def _next(self, seen: Seen) -> Script:
        if seen.operation == "Login":
            return login_answer("token")
        if "limit" in seen.variables:
            return self.page(seen)
        return count_answer(_STONES if _asks_for_them(seen) else 0)


def _asks_for_them(seen: Seen) -> bool:
    prices = seen.variables["query"].get("dollar_value", {"from": 0, "to": 1_000})
    return bool(prices["from"] <= 100.5 <= prices["to"])


def announced(_seen: Seen) -> Answer:
    return Answer(b" " * (50 * _MEGABYTE))


def endless(_seen: Seen) -> Answer:
    return Answer(b" " * 100_000, ending="endless")


_BOMB = gzip.compress(b" " * (200 * _MEGABYTE), compresslevel=1)


def bomb(_seen: Seen) -> Answer:
    return Answer(_BOMB, headers={"Content-Encoding": "gzip"})


def heavy_stones(seen: Seen) -> Answer:
    """Honest pages of stones that have 150 KB each, fifty times what they have now."""
    offset, limit = seen.variables["offset"], seen.variables["limit"]
    lab_grown = bool(seen.variables["query"]["labgrown"])
    items: list[Any] = [
        make_item(
            supplier_stone_id=f"{lab_grown}-{number}",
            price=10_050,
            certificate={"labgrown": lab_grown, "comments": "x" * 150_000},
        )
        for number in range(offset, min(offset + limit, _STONES if _asks_for_them(seen) else 0))
    ]
    return Answer({"data": {"diamonds_by_query": {"items": items}}})


async def _do(
    database_url: str, pool: Pool, folder: Path, page: Callable[[Seen], Answer], *commands: str
) -> tuple[str, int, list[str]]:
    """The run's state after a process for each command, one after the other, did what it could.

    And the largest process's peak in MB, and what failed partitions say.
    """
    async with (
        Heavy(page) as supplier,
        Processes(
            database_url,
            supplier,
            folder,
            worker_max_attempts=2,
            nivoda_request_tries=2,
            worker_max_offset=1_000,
        ) as processes,
    ):
        assert await processes.run("schedule", "--type", "full") == 0
        peak = 0
        for command in commands:
            process = await processes.start(command, "--until-idle")
            while process.returncode is None:
                peak = max(peak, _peak_megabytes(process.pid))
                await asyncio.sleep(0.05)
        run = await newest_run(pool)
    async with pool.connection() as conn:
        cursor = await conn.execute(
            "SELECT DISTINCT last_error FROM partition_progress WHERE state = 'failed' ORDER BY 1"
        )
        return str(run["state"]), peak, [row[0] for row in await cursor.fetchall()]


def _peak_megabytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if "VmHWM" in line), 0)


@pytest.mark.long  # a planner and a worker, each a process of its own, and 50 MB an answer
@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (announced, "would be answered with 50 MB, more than the 8 MB that are read of an answer"),
        (endless, "more than the 8 MB that are read of an answer"),
        (bomb, "MB so far, unpacked, more than the 8 MB that are read of an answer"),
    ],
)
async def test_pages_that_are_too_large_fail_their_partitions_by_their_size(
    database_url: str, pool: Pool, tmp_path: Path, page: Callable[[Seen], Answer], reason: str
) -> None:
    state, peak, errors = await _do(database_url, pool, tmp_path, page, "worker")
    assert state == "failed"
    assert errors
    assert all(reason in error for error in errors), errors
    assert peak < _MOST_MEGABYTES


@pytest.mark.long  # the same, with 120 MB of stones
async def test_stones_of_very_many_bytes_are_read_and_consolidated_in_little_memory(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    state, peak, errors = await _do(database_url, pool, tmp_path, heavy_stones, "worker", "consolidator")
    assert (state, errors) == ("completed", [])
    assert peak < _MOST_MEGABYTES
