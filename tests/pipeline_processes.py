"""The product's own processes, started as a user starts them, and killed as nobody should be.

``Content`` is what a run leaves behind, without the times and ids that differ from run to run.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg.rows import dict_row

from diamond_opus.runs.model import RunState, RunType
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from log_secrets import SECRETS
from pipeline_builders import Pool, run_to_end, simulated_pipeline

DIAMOND = Path(sys.executable).parent / "diamond"

#: Many small steps, short leases, and no end of attempts: a test kills more often than five times.
SMALL_STEPS = {
    "records_per_worker": 100,
    "heatmap_min_records_per_worker": 50,
    "worker_max_offset": 200,
    "consolidator_batch_size": 40,
    "worker_lease_seconds": 1.5,
    "sweep_seconds": 0.4,
    "worker_max_attempts": 100,
    "retry_first_backoff_seconds": 0.05,
}

#: A busy machine takes seconds to start a process.
_PATIENCE_SECONDS = 150.0

#: Everything that must be the same after a quiet run and after any other; unreadable items carry their run's id.
_CONTENT = {
    "raw": """SELECT supplier_stone_id, offer_id, payload_hash, asked_lab_grown, consolidated, removed_at IS NULL
        FROM raw_diamonds ORDER BY 1""",
    "diamonds": """SELECT to_jsonb(d) - '{last_seen_at,created_at,updated_at,deleted_at}'::text[]
        FROM diamonds AS d ORDER BY supplier_stone_id""",
    "rejected": """SELECT CASE WHEN readable THEN supplier_stone_id
            ELSE regexp_replace(supplier_stone_id, '^[^:]*:', '') END, reason,
            CASE WHEN readable THEN json_path END
        FROM rejected_diamonds WHERE resolved_at IS NULL ORDER BY 1, 2""",
    "run": """SELECT run_type, state, expected_workers, completed_workers, failed_workers, forced, expected_records,
            distinct_records, unchanged_records, rejected_records, unreadable_records, removed_records,
            consolidation_processed, consolidation_errors, error
        FROM run_metadata ORDER BY started_at DESC LIMIT 1""",
    "partitions": """SELECT partition_id, kind, lab_grown, price_from, price_to, state, expected_records,
            count_disputed, notes
        FROM partition_progress
        WHERE run_id = (SELECT run_id FROM run_metadata ORDER BY started_at DESC LIMIT 1) ORDER BY 1""",
    "removals": """SELECT supplier_stone_id, lab_grown, state FROM removal_candidates
        WHERE run_id = (SELECT run_id FROM run_metadata ORDER BY started_at DESC LIMIT 1) ORDER BY 1""",
    "warnings": """SELECT json_path, reason, occurrences FROM run_warnings
        WHERE run_id = (SELECT run_id FROM run_metadata ORDER BY started_at DESC LIMIT 1) ORDER BY 1, 2""",
    "watermark": """SELECT w.last_updated_at = r.updated_to, w.last_run_id = r.run_id::text,
            r.watermark_after = r.updated_to
        FROM watermarks AS w, (SELECT * FROM run_metadata ORDER BY started_at DESC LIMIT 1) AS r""",
}

Content = dict[str, list[Any]]


async def content(pool: Pool) -> Content:
    async with pool.connection() as conn:
        return {
            name: await (await conn.execute(statement.encode())).fetchall()
            for name, statement in _CONTENT.items()
        }


def assert_same(found: Content, expected: Content) -> None:
    for name, rows in expected.items():
        assert found[name] == rows, f"{name} differ: {_first_difference(found[name], rows)}"


def _first_difference(found: list[Any], expected: list[Any]) -> str:
    pairs = [(f, e) for f, e in zip(found, expected, strict=False) if f != e]
    return f"{len(found)} rows instead of {len(expected)}; first (found, expected): {pairs[:1]}"


def inventory(seed: int, *, answer_delay_seconds: float = 0) -> SimulatorSettings:
    """Small, odd, and in a stable order, for null items are told apart by their places alone."""
    return SimulatorSettings(
        stones=420,
        seed=seed,
        hostile_share=0.05,
        unstable_ties=False,
        answer_delay_seconds=answer_delay_seconds,
    )


@asynccontextmanager
async def changed_supplier(
    settings: SimulatorSettings, url: str, *, read_before: bool = True, steps: Mapping[str, Any] = SMALL_STEPS
) -> AsyncIterator[Simulator]:
    """A supplier that was read once and then changed: the next run inserts, updates and removes.

    The same settings give the same inventory and the same changes each time.
    """
    async with Simulator(settings) as simulator:
        if not read_before:
            yield simulator
            return
        async with simulated_pipeline(url, simulator, **steps) as pipeline:
            run = await run_to_end(pipeline, RunType.FULL)
        assert run.state is RunState.COMPLETED
        simulator.churn(settings.stones // 8)
        yield simulator


async def quiet_content(
    settings: SimulatorSettings,
    pool: Pool,
    url: str,
    *,
    read_before: bool = True,
    steps: Mapping[str, Any] = SMALL_STEPS,
) -> Content:
    """What such a run leaves behind when nobody disturbs it; the database is empty again afterwards."""
    async with (
        changed_supplier(settings, url, read_before=read_before, steps=steps) as simulator,
        simulated_pipeline(url, simulator, **steps) as pipeline,
    ):
        run = await run_to_end(pipeline, RunType.FULL)
    assert run.state is RunState.COMPLETED
    assert run.removed_records > 0 or not read_before
    found = await content(pool)
    async with pool.connection() as conn:
        await conn.execute(
            b"TRUNCATE run_metadata, raw_diamonds, diamonds, rejected_diamonds, watermarks, density_scans,"
            b" dataset_versions, dataset_changes, duties CASCADE"
        )
    return found


class Served(Protocol):
    """Whatever answers like the supplier on this machine."""

    @property
    def base_url(self) -> str: ...


class Processes:
    """Every process of one test; all that are still there are killed at its end."""

    def __init__(self, url: str, simulator: Served, folder: Path, **settings: Any) -> None:
        self._folder = folder
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "DATABASE_URL": url,
            "SIMULATOR_PORT": simulator.base_url.rpartition(":")[2],
            "DIAMOND_HOME": str(folder),
            **{name.upper(): str(value) for name, value in {**SMALL_STEPS, **settings}.items()},
        }
        SECRETS.know_settings(self._environment)
        self._started: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> "Processes":
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._started:
            await self.kill(process)

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                DIAMOND, *arguments, cwd=self._folder, env=self._environment, stdout=log, stderr=log
            )
        self._started.append(process)
        return process

    async def run(self, *arguments: str) -> int:
        """Start one and wait for its end; returns its exit code."""
        process = await self.start(*arguments)
        return await asyncio.wait_for(process.wait(), _PATIENCE_SECONDS)

    @property
    def log(self) -> Path:
        return self._folder / "processes.log"

    @staticmethod
    async def kill(process: asyncio.subprocess.Process) -> None:
        """SIGKILL: no handler, no finally, no last word."""
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def newest_run(pool: Pool) -> Mapping[str, Any]:
    async with pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM run_metadata ORDER BY started_at DESC LIMIT 1")
        [run] = await cursor.fetchall()
    return run


async def until_a_run_after(pool: Pool, run_id: object) -> None:
    """Wait until there is a newer run than this one."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (await newest_run(pool))["run_id"] == run_id:  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.05)


async def until_over(pool: Pool, processes: Processes | None = None) -> None:
    """Wait until the newest run is over; a database that is restarting meanwhile is waited for."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
    run: Mapping[str, Any] = {}
    while asyncio.get_running_loop().time() < deadline:
        try:
            run = await newest_run(pool)
        except psycopg.OperationalError:
            run = {}
        if run and RunState(run["state"]).is_over:
            return
        await asyncio.sleep(0.1)
    last_words = processes.log.read_text()[-4000:] if processes else ""
    raise AssertionError(f"the run does not end: {run}\n{last_words}")
