"""Runs as operators see them: lists, one run with all that belongs to it, and what failed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from diamond_opus.analytics.reconcile import reconcile
from diamond_opus.analytics.rows import (
    Answer,
    Page,
    answer,
    fetch_all,
    fetch_answers,
    fetch_page,
    fetch_value,
)
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.runs import store
from diamond_opus.runs.model import Run, UnknownRun

QUERIES = load_queries("diamond_opus.analytics", "runs.sql")

STATUSES = ("running", "completed", "failed", "partial")


@dataclass(frozen=True, slots=True)
class RunFilter:
    """None lets everything pass."""

    feed: str | None = None
    run_type: str | None = None
    states: Sequence[str] | None = None
    statuses: Sequence[str] | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None
    run_id: UUID | None = None

    def values(self) -> Mapping[str, Any]:
        values = asdict(self)
        for name in ("states", "statuses"):
            values[name] = None if values[name] is None else list(values[name])
        return values


async def list_runs(conn: Connection, wanted: RunFilter, *, limit: int = 50, offset: int = 0) -> Page:
    """The newest first."""
    return await fetch_page(
        conn, QUERIES["list_runs"], QUERIES["count_runs"], wanted.values(), limit=limit, offset=offset
    )


async def newest_runs(conn: Connection, *, limit: int = 10) -> Sequence[Run]:
    """The same rows as values, for the command line."""
    values = {**RunFilter().values(), "limit": limit, "offset": 0}
    return [store.as_run(row) for row in await fetch_all(conn, QUERIES["list_runs"], values)]


async def describe_run(conn: Connection, run_id: UUID) -> Answer:
    """One run as the list shows it. Raises UnknownRun."""
    values = {**RunFilter(run_id=run_id).values(), "limit": 1, "offset": 0}
    rows = await fetch_answers(conn, QUERIES["list_runs"], values)
    if not rows:
        raise UnknownRun(f"run: there is no run {run_id}")
    return rows[0]


async def explain_run(conn: Connection, run_id: UUID) -> Answer:
    """The run, its partitions, every attempt, its removals, and why its figures differ. Raises UnknownRun."""
    shown = await describe_run(conn, run_id)
    run = await store.get_run(conn, run_id)
    partitions = await store.list_partitions(conn, run_id)
    return {
        "run": shown,
        "partitions": [answer(asdict(partition)) for partition in partitions],
        "workers": await fetch_answers(conn, QUERIES["list_attempts"], {"run_id": run_id}),
        "removals": await removals_of(conn, run_id),
        "reconciliation": [answer(asdict(step)) for step in reconcile(run, partitions)],
    }


async def removals_of(conn: Connection, run_id: UUID) -> dict[str, int]:
    """The stones that the run missed, by what became of them."""
    rows = await fetch_all(conn, QUERIES["candidates_by_state"], {"run_id": run_id})
    return {row["state"]: row["stones"] for row in rows}


async def failed_attempts(conn: Connection, *, limit: int) -> Sequence[Answer]:
    """The newest first, of all runs."""
    return await fetch_answers(conn, QUERIES["failed_attempts"], {"limit": limit})


async def count_failed_attempts(conn: Connection) -> int:
    return int(await fetch_value(conn, QUERIES["count_failed_attempts"]))


async def count_runs(conn: Connection) -> int:
    return int(await fetch_value(conn, QUERIES["count_all_runs"]))


async def failed_partitions(conn: Connection, run_id: UUID) -> Sequence[Answer]:
    """Those of one run that wait for a person. Raises UnknownRun."""
    await store.get_run(conn, run_id)
    return await fetch_answers(conn, QUERIES["failed_partitions"], {"run_id": run_id})
