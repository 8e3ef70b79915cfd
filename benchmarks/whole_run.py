"""A whole run as shipped, each part a process of its own: how long it takes, and how much memory each part needs."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from benchmarks.world import database, diamond, supplier
from diamond_opus.wiring import migrate_database


async def measure(rows: int, _sessions: int, _batch_size: int | None) -> dict[str, float | int]:
    with database() as server, supplier(rows) as simulator:
        await migrate_database(server.url)
        environment = {
            **os.environ,
            "DATABASE_URL": server.url,
            "SIMULATOR_PORT": simulator.url.split(":")[2].split("/")[0],
            "PORT": "0",
            "LOG_FORMAT": "json",
        }
        async with AsyncExitStack() as stack:
            parts = {
                name: await stack.enter_async_context(diamond(environment, name))
                for name in ("worker", "consolidator", "api")
            }
            planning = await stack.enter_async_context(diamond(environment, "schedule", "--type", "full"))
            scheduler_mb = 0
            while planning.returncode is None:
                scheduler_mb = max(scheduler_mb, _peak_mb(planning.pid))
                await asyncio.sleep(0.05)
            run = await _until_over(server.url)
            await asyncio.sleep(20)  # the API's index follows
            peaks = {f"{name}_peak_mb": _peak_mb(process.pid) for name, process in parts.items()}
            simulator_mb = _peak_mb(simulator.pid)
    return {
        "stones": run["distinct_records"],
        "expected": run["expected_records"],
        "partitions": run["expected_workers"],
        "ingest_seconds": _between(run, "started_at", "ingest_completed_at"),
        "consolidate_seconds": _between(run, "ingest_completed_at", "completed_at"),
        **peaks,
        "scheduler_peak_mb": scheduler_mb,
        "part_target_mb": 400,
        "simulator_peak_mb": simulator_mb,
    }


async def _until_over(url: str) -> Mapping[str, Any]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as conn:
        while True:
            cursor = await conn.execute("SELECT * FROM run_metadata ORDER BY started_at DESC LIMIT 1")
            [run] = await cursor.fetchall()
            if run["state"] == "completed":
                return run
            if run["state"] in ("failed", "cancelled"):
                raise RuntimeError(f"the run is {run['state']}: {run['error']}")
            await asyncio.sleep(0.5)


def _between(run: Mapping[str, Any], first: str, second: str) -> float:
    begin, end = run[first], run[second]
    if not (isinstance(begin, datetime) and isinstance(end, datetime)):
        raise RuntimeError(f"the run has no {first} or no {second}")
    return (end - begin).total_seconds()


def _peak_mb(pid: int) -> int:
    """The most memory the process has had so far; 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if "VmHWM" in line), 0)
