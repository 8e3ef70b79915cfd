"""Runs and their partitions as they are made, listed, woken, retried and cancelled: one short transaction each.

Functions take an open connection. Those that take several statements open their own (nested) transaction, so a
caller may call them alone or inside a larger unit of work.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Rollback
from psycopg.errors import LockNotAvailable, UniqueViolation
from psycopg.rows import class_row, dict_row, scalar_row

from diamond_opus.runs.model import (
    DuePartition,
    DueRun,
    Failure,
    Partition,
    PartitionState,
    Run,
    RunPlan,
    RunRefused,
    RunState,
    RunType,
)
from diamond_opus.runs.steps import QUERIES, activate, audit, lock_run, refuse_when_newer, the, unknown_run


async def create_run(conn: AsyncConnection[Any], plan: RunPlan, *, run_id: UUID | None = None) -> UUID:
    """Store a run and all its partitions, or nothing; ``run_id`` is for who had to name it before it was planned.

    Raises RunRefused while another run of the feed is active.
    """
    try:
        async with conn.transaction(), conn.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(
                QUERIES["insert_run"],
                {
                    "run_id": run_id,
                    "feed": plan.feed,
                    "run_type": plan.run_type,
                    "is_replay": plan.is_replay,
                    "workers": len(plan.partitions),
                    "watermark_before": plan.watermark_before,
                    "updated_from": plan.updated_from,
                    "updated_to": plan.updated_to,
                    "trace_id": plan.trace_id,
                    "expected_records": plan.expected_records,
                    "time_limit": timedelta(seconds=plan.time_limit_seconds)
                    if plan.time_limit_seconds
                    else None,
                },
            )
            stored_id: UUID = the(await cursor.fetchone())
            await cursor.execute(
                QUERIES["insert_partitions"],
                {
                    "run_id": stored_id,
                    "partition_ids": [partition.partition_id for partition in plan.partitions],
                    "kinds": [
                        "catch_up" if partition.is_catch_up else "range" for partition in plan.partitions
                    ],
                    "lab_grown": [partition.lab_grown for partition in plan.partitions],
                    "prices_from": [partition.price_from for partition in plan.partitions],
                    "prices_to": [partition.price_to for partition in plan.partitions],
                    "expected_records": [partition.expected_records for partition in plan.partitions],
                },
            )
    except UniqueViolation as error:
        active = await find_active_run(conn, plan.feed)
        raise RunRefused(
            f"run: feed {plan.feed} already has an active run ({active.run_id if active else 'just ended'}); "
            "wait for it, or cancel it with: diamond cancel RUN"
        ) from error
    return stored_id


async def get_run(conn: AsyncConnection[Any], run_id: UUID) -> Run:
    """Raises UnknownRun."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["get_run"], {"run_id": run_id})
        row = await cursor.fetchone()
    if row is None:
        raise unknown_run(run_id)
    return as_run(row)


def as_run(row: Mapping[str, Any]) -> Run:
    """A run from the columns of ``run_overview`` that it has; others are ignored."""
    values = {field.name: row[field.name] for field in fields(Run)}
    return Run(**{**values, "run_type": RunType(row["run_type"]), "state": RunState(row["state"])})


async def find_active_run(conn: AsyncConnection[Any], feed: str) -> Run | None:
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["find_active_run"], {"feed": feed})
        run_id = await cursor.fetchone()
    return None if run_id is None else await get_run(conn, run_id)


async def list_partitions(conn: AsyncConnection[Any], run_id: UUID) -> Sequence[Partition]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["list_partitions"], {"run_id": run_id})
        rows = await cursor.fetchall()
    return [Partition(**{**row, "state": PartitionState(row["state"])}) for row in rows]


async def take_due_partitions(
    conn: AsyncConnection[Any], *, quiet_seconds: float, feed: str | None = None, limit: int = 100
) -> Sequence[DuePartition]:
    """Count a wake for partitions that are due and were not woken within ``quiet_seconds``."""
    async with conn.cursor(row_factory=class_row(DuePartition)) as cursor:
        await cursor.execute(
            QUERIES["take_due_partitions"],
            {"quiet": timedelta(seconds=quiet_seconds), "feed": feed, "limit": limit},
        )
        return await cursor.fetchall()


async def take_catch_up(conn: AsyncConnection[Any], run_id: UUID) -> Sequence[DuePartition]:
    """The catch-ups that became due when the last range of the run was read; nobody was woken for them before."""
    async with conn.cursor(row_factory=class_row(DuePartition)) as cursor:
        await cursor.execute(QUERIES["take_catch_up"], {"run_id": run_id})
        return await cursor.fetchall()


async def release_orphans(conn: AsyncConnection[Any]) -> None:
    """Let go what is still held of runs that are over."""
    await conn.execute(QUERIES["release_orphans"])


async def take_due_runs(
    conn: AsyncConnection[Any], *, quiet_seconds: float, feed: str | None = None
) -> Sequence[DueRun]:
    """The same for runs that wait for consolidation or for its end."""
    async with conn.cursor(row_factory=class_row(DueRun)) as cursor:
        await cursor.execute(
            QUERIES["take_due_runs"], {"quiet": timedelta(seconds=quiet_seconds), "feed": feed}
        )
        return await cursor.fetchall()


async def take_duty(conn: AsyncConnection[Any], duty: str, *, holder: UUID, lease_seconds: float) -> bool:
    """Whether this process does the duty for the next ``lease_seconds``."""
    cursor = await conn.execute(
        QUERIES["take_duty"], {"duty": duty, "holder": holder, "lease": timedelta(seconds=lease_seconds)}
    )
    return await cursor.fetchone() is not None


async def retry_run(
    conn: AsyncConnection[Any], run_id: UUID, *, partition_id: str | None = None, actor: str
) -> Sequence[str]:
    """Put failed partitions back to work at their cursors, and those that a run's end left unread; returns their ids.

    The run has its whole time again. Raises RunRefused when a newer run of the feed exists (only closing is left
    then), when the run is not failed, or when all its partitions are read.
    """
    async with conn.transaction():
        await release_orphans(conn)  # else one that was claimed while the run was closed would not be retried
        state = await lock_run(conn, run_id)
        if state not in (RunState.FAILED, RunState.INGESTING):
            raise RunRefused(
                f"run: {run_id} is {state}; only failed partitions of a failed run can be retried"
            )
        await refuse_when_newer(conn, run_id)
        async with conn.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(
                QUERIES["retry_partitions"],
                {
                    "run_id": run_id,
                    "partition_id": partition_id,
                    "unfinished_too": state is RunState.FAILED,
                },
            )
            retried: list[str] = await cursor.fetchall()
        if not retried:
            raise RunRefused(
                f"run: of the partitions of {run_id} {_none(state, partition_id)}; see: diamond status {run_id}"
            )
        await activate(conn, "set_ingesting_again", run_id, {})
        await audit(conn, actor, "run.retry", run_id, {"partitions": retried})
    return retried


def _none(state: RunState, partition_id: str | None) -> str:
    """Why nothing was put back to work."""
    if partition_id is not None:
        return f"partition {partition_id!r} is not among the failed ones"
    return (
        "none is left to read, so it can be consolidated" if state is RunState.FAILED else "none has failed"
    )


async def cancel_run(conn: AsyncConnection[Any], run_id: UUID, *, actor: str) -> None:
    """Close a run that is not complete; workers and consolidators stop at their next step."""
    closing = {"run_id": run_id, "error": f"cancelled by {actor}"}
    async with conn.transaction():
        # Partitions before the run, as a worker locks them that ends one.
        await conn.execute(QUERIES["release_partitions"], closing)
        state = await lock_run(conn, run_id)
        if state in (RunState.COMPLETED, RunState.CANCELLED):
            raise RunRefused(f"run: {run_id} is {state} and cannot be cancelled")
        await conn.execute(QUERIES["close_open_attempts"], closing)
        await conn.execute(QUERIES["close_run"], closing)
        await audit(conn, actor, "run.cancel", run_id, {"state": state})


async def time_out_runs(conn: AsyncConnection[Any], *, feed: str | None = None) -> Sequence[UUID]:
    """Fail the runs whose time is over; returns them. What they stored stays, and a retry goes on from there."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["overdue_runs"], {"feed": feed})
        overdue: list[UUID] = await cursor.fetchall()
    return [run_id for run_id in overdue if await _time_out_run(conn, run_id)]


async def _time_out_run(conn: AsyncConnection[Any], run_id: UUID) -> bool:
    """False when somebody ended it, or gave it more time, in the meantime, or is at it just now."""
    run = await get_run(conn, run_id)
    error = f"the run was {run.state} when its time was over (RUN_TIMEOUT_SECONDS)"
    closing = {"run_id": run_id, "error": error}
    has_failed = False
    with suppress(LockNotAvailable):  # the next sweep looks again
        async with conn.transaction() as all_of_it:
            await conn.execute(b"SET LOCAL lock_timeout = '1s'")
            # Partitions before the run, as a worker locks them that ends one.
            await conn.execute(QUERIES["release_partitions"], closing)
            cursor = await conn.execute(QUERIES["time_out_run"], closing)
            if await cursor.fetchone() is None:
                raise Rollback(all_of_it)
            await conn.execute(QUERIES["close_open_attempts"], closing)
            has_failed = True
    return has_failed


async def untold_failures(
    conn: AsyncConnection[Any], *, feed: str | None = None
) -> Sequence[tuple[Run, Failure]]:
    """Runs that failed and of which nobody was told."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["untold_failures"], {"feed": feed})
        rows = await cursor.fetchall()
    return [(await get_run(conn, row["run_id"]), Failure(row["failure"])) for row in rows]


async def mark_told(conn: AsyncConnection[Any], run_id: UUID, failure: Failure) -> None:
    await conn.execute(QUERIES["mark_told"], {"run_id": run_id, "failure": failure})


async def take_run(conn: AsyncConnection[Any], run_id: UUID) -> DueRun:
    """Make a run due now because a person wants it, and count the wake. Raises UnknownRun."""
    async with conn.cursor(row_factory=class_row(DueRun)) as cursor:
        await cursor.execute(QUERIES["take_run"], {"run_id": run_id})
        due = await cursor.fetchone()
    if due is None:
        raise unknown_run(run_id)
    return due


async def is_complete(conn: AsyncConnection[Any], run_id: str) -> bool:
    """Whether this database knows a run of that name, whatever the name is, and knows it complete."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["is_complete"], {"run_id": run_id})
        return bool(the(await cursor.fetchone()))


async def newest_watermark(conn: AsyncConnection[Any], feed: str) -> datetime | None:
    """Up to when the feed was read by the newest run that moved the watermark or found it; None without one."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["newest_watermark"], {"feed": feed})
        moment: datetime | None = await cursor.fetchone()
    return moment


async def database_time(conn: AsyncConnection[Any]) -> datetime:
    """The server's clock: the one clock that all processes share."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute("SELECT clock_timestamp()")
        now: datetime = the(await cursor.fetchone())
    return now
