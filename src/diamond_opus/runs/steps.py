"""What every step of a run shares: its lock, its refusals, its line in the audit log."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row, scalar_row

from diamond_opus.db.audit import record_act
from diamond_opus.db.queries import load_queries
from diamond_opus.runs.model import (
    RunRefused,
    RunState,
    UnknownRun,
)

QUERIES = load_queries("diamond_opus.runs")


async def lock_run(conn: AsyncConnection[Any], run_id: UUID) -> RunState:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["lock_run"], {"run_id": run_id})
        row = await cursor.fetchone()
    if row is None:
        raise unknown_run(run_id)
    return RunState(row["state"])


def unknown_run(run_id: UUID) -> UnknownRun:
    return UnknownRun(f"run: there is no run {run_id}; list them with: diamond status")


async def refuse_when_newer(conn: AsyncConnection[Any], run_id: UUID) -> None:
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["newer_run_exists"], {"run_id": run_id})
        if await cursor.fetchone():
            raise RunRefused(
                f"run: a newer run of the feed exists, so {run_id} can only be closed: diamond cancel {run_id}"
            )


async def activate(conn: AsyncConnection[Any], query: str, run_id: UUID, values: Mapping[str, Any]) -> None:
    """Run a statement that makes a run active again; refused while another run of the feed is."""
    try:
        await conn.execute(QUERIES[query], {"run_id": run_id, **values})
    except UniqueViolation as error:
        raise RunRefused(f"run: another run of the feed is active, so {run_id} cannot go on now") from error


def describe_failed(tally: Mapping[str, Any]) -> str | None:
    """What is written on the run, from ``tally_partitions``; None when no partition failed."""
    if not tally["failed"]:
        return None
    return f"{tally['failed']} partitions failed: {tally['reasons']}"[:2000]


async def audit(
    conn: AsyncConnection[Any], actor: str, action: str, run_id: UUID, details: Mapping[str, Any]
) -> None:
    await record_act(conn, actor=actor, action=action, subject=str(run_id), details=details)


def the(value: Any | None) -> Any:
    """The row that a statement always returns."""
    if value is None:
        raise RuntimeError("the database returned no row where it always returns one")
    return value
