"""Kill the process at any statement of a run: it resumes by itself and ends with the same rows.

Real processes and SIGKILL. A *named point* is a statement that a trigger holds up until its process is dead; then
the server goes on with it, as it does for a client that is gone, and whatever had no COMMIT is rolled back.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
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
    until_over,
)

INVENTORY = inventory(11)


@dataclass(frozen=True, slots=True)
class Point:
    """A statement of ``table`` that ``command`` is killed in; ``when`` narrows it."""

    command: str
    event: str
    table: str
    when: str = "TRUE"


PLANNING = [Point("schedule", "INSERT", "partition_progress", "NEW.partition_id = 'lab-grown-01'")]
READING = [
    Point("worker", "UPDATE", "partition_progress", "NEW.state = 'running' AND OLD.state = 'pending'"),
    Point("worker", "INSERT", "worker_runs"),
    Point("worker", "UPDATE", "run_metadata", "NEW.state = 'ingesting' AND OLD.state = 'planned'"),
    Point("worker", "INSERT", "raw_diamonds"),
    Point("worker", "UPDATE", "raw_diamonds", "NOT NEW.consolidated"),
    Point("worker", "INSERT", "rejected_diamonds", "NOT NEW.readable"),
    Point("worker", "UPDATE", "partition_progress", "NEW.cursor IS DISTINCT FROM OLD.cursor"),
    Point("worker", "UPDATE", "partition_progress", "NEW.state = 'completed'"),
    Point("worker", "UPDATE", "worker_runs", "NEW.status = 'completed'"),
    Point("worker", "UPDATE", "run_metadata", "NEW.state = 'ingested'"),
]
CONSOLIDATING = [
    Point("consolidator", "UPDATE", "run_metadata", "NEW.state = 'consolidating' AND OLD.state = 'ingested'"),
    Point("consolidator", "UPDATE", "raw_diamonds", "NEW.consolidated AND NOT OLD.consolidated"),
    Point("consolidator", "INSERT", "diamonds"),
    Point("consolidator", "INSERT", "rejected_diamonds"),
    Point("consolidator", "INSERT", "run_warnings"),
    Point(
        "consolidator",
        "UPDATE",
        "run_metadata",
        "NEW.consolidation_processed > OLD.consolidation_processed",
    ),
]
ENDING = [
    Point("consolidator", "UPDATE", "diamonds", "NEW.status = 'active'"),
    Point("consolidator", "UPDATE", "run_metadata", "NEW.finalise_token IS DISTINCT FROM OLD.finalise_token"),
    Point("consolidator", "INSERT", "removal_candidates"),
    Point("consolidator", "UPDATE", "removal_candidates", "NEW.state <> 'removed'"),
    Point("consolidator", "UPDATE", "diamonds", "NEW.status = 'deleted'"),
    Point("consolidator", "UPDATE", "watermarks"),
    Point("consolidator", "UPDATE", "run_metadata", "NEW.state = 'completed'"),
]

_LOCK = 4711


class Gate:
    """Holds up the processes that come to a named point, until it is opened."""

    def __init__(self, conn: psycopg.AsyncConnection[object]) -> None:
        self._conn = conn

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["Gate"]:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            await conn.execute(
                f"CREATE FUNCTION stop_here() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" PERFORM pg_advisory_xact_lock_shared({_LOCK}); RETURN NEW; END $$".encode()
            )
            yield cls(conn)

    async def shut(self, point: Point) -> None:
        await self._conn.execute(f"SELECT pg_advisory_lock({_LOCK})".encode())
        await self._conn.execute(
            f"CREATE TRIGGER stop_here BEFORE {point.event} ON {point.table} FOR EACH ROW WHEN ({point.when})"
            f" EXECUTE FUNCTION stop_here()".encode()
        )

    async def somebody_waits(self) -> bool:
        cursor = await self._conn.execute(
            f"SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = {_LOCK}"
            f" AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())".encode()
        )
        return await cursor.fetchone() == (True,)

    async def go_on(self, point: Point) -> None:
        await self._conn.execute(f"SELECT pg_advisory_unlock({_LOCK})".encode())
        await self._conn.execute(f"DROP TRIGGER stop_here ON {point.table}".encode())


async def kill_at(gate: Gate, point: Point, processes: Processes) -> None:
    """Start the point's command, kill it when it is in that very statement."""
    await gate.shut(point)
    victim = await processes.start(point.command)
    async with asyncio.timeout(100):
        while not await gate.somebody_waits():
            assert victim.returncode is None, f"{point} ended by itself: {processes.log.read_text()[-3000:]}"
            await asyncio.sleep(0.02)
    await processes.kill(victim)
    await gate.go_on(point)


async def check(
    points: Sequence[Point],
    pool: Pool,
    url: str,
    folder: Path,
    *,
    before: Sequence[Sequence[str]],
    read_before: bool = True,
) -> None:
    """Kill at each point in turn, then let a worker and a consolidator end the run.

    With ``read_before`` it is the second run over a supplier that has changed since the first.
    """
    expected = await quiet_content(INVENTORY, pool, url, read_before=read_before)
    async with (
        changed_supplier(INVENTORY, url, read_before=read_before) as simulator,
        Processes(url, simulator, folder) as processes,
        Gate.open(url) as gate,
    ):
        for command in before:
            assert await processes.run(*command) == 0, processes.log.read_text()[-3000:]
        for point in points:
            await kill_at(gate, point, processes)
        await processes.start("worker")
        await processes.start("consolidator")
        await until_over(pool, processes)
        assert_same(await content(pool), expected)


SCHEDULE = ("schedule", "--type", "full")


@pytest.mark.long  # a process is started and killed for each point
@pytest.mark.timeout(400)
async def test_invariant_01_a_run_killed_while_it_is_planned_and_read_ends_with_the_same_rows(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    await check(READING, pool, database_url, tmp_path, before=[SCHEDULE])


@pytest.mark.long  # a process is started and killed for each point
@pytest.mark.timeout(400)
async def test_invariant_01_a_run_killed_while_it_is_consolidated_ends_with_the_same_rows(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    before = [SCHEDULE, ("worker", "--until-idle")]
    await check(CONSOLIDATING, pool, database_url, tmp_path, before=before, read_before=False)


@pytest.mark.long  # a process is started and killed for each point
@pytest.mark.timeout(400)
async def test_invariant_01_a_run_killed_while_it_ends_ends_with_the_same_rows(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    await check(ENDING, pool, database_url, tmp_path, before=[SCHEDULE, ("worker", "--until-idle")])


async def test_invariant_01_a_planner_that_is_killed_leaves_no_half_a_plan(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    async with (
        changed_supplier(INVENTORY, database_url) as simulator,
        Processes(database_url, simulator, tmp_path, run_type="full") as processes,
        Gate.open(database_url) as gate,
    ):
        before = await newest_run(pool)
        await kill_at(gate, PLANNING[0], processes)
        assert await newest_run(pool) == before
        assert await processes.run(*SCHEDULE) == 0
        assert (await newest_run(pool))["state"] == "planned"
