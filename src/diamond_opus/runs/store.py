"""Every step a run or partition can take, each one statement or one short transaction.

Functions take an open connection. Those that take several statements open their own (nested) transaction, so a
caller may call them alone or inside a larger unit of work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import class_row, dict_row, scalar_row, tuple_row
from psycopg.types.json import Jsonb

from diamond_opus.db.audit import record_act
from diamond_opus.db.queries import load_queries
from diamond_opus.runs.model import (
    ClaimedPartition,
    DuePartition,
    DueRun,
    LeaseLost,
    Partition,
    PartitionState,
    Progress,
    Run,
    RunPlan,
    RunRefused,
    RunState,
    RunType,
    UnknownRun,
)

QUERIES = load_queries("diamond_opus.runs")

ACTIVE = (RunState.PLANNED, RunState.INGESTING, RunState.INGESTED, RunState.CONSOLIDATING)


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
                },
            )
            stored_id: UUID = _the(await cursor.fetchone())
            for partition in plan.partitions:
                await cursor.execute(
                    QUERIES["insert_partition"],
                    {
                        "run_id": stored_id,
                        "partition_id": partition.partition_id,
                        "kind": "catch_up" if partition.is_catch_up else "range",
                        "lab_grown": partition.lab_grown,
                        "price_from": partition.price_from,
                        "price_to": partition.price_to,
                        "expected_records": partition.expected_records,
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
        raise _unknown(run_id)
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


async def leases_held(conn: AsyncConnection[Any], run_id: UUID) -> tuple[int, float]:
    """How many partitions somebody holds, and in how many seconds the last of those leases ends."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(QUERIES["leases_held"], {"run_id": run_id})
        partitions, seconds = _the(await cursor.fetchone())
    return int(partitions), float(seconds)


async def claim_partition(
    conn: AsyncConnection[Any],
    run_id: UUID,
    partition_id: str,
    *,
    worker_id: UUID,
    lease_seconds: float,
    payload: Mapping[str, Any],
) -> ClaimedPartition | None:
    """Lease a partition and record the attempt; None when it is not due, not free, or not needed any more."""
    key = {"run_id": run_id, "partition_id": partition_id}
    async with conn.transaction():
        async with conn.cursor(row_factory=class_row(ClaimedPartition)) as cursor:
            await cursor.execute(
                QUERIES["claim_partition"],
                {**key, "worker_id": worker_id, "lease": timedelta(seconds=lease_seconds)},
            )
            claimed = await cursor.fetchone()
        if claimed is None:
            return None
        await conn.execute(QUERIES["close_abandoned_attempts"], key)
        await conn.execute(
            QUERIES["insert_attempt"],
            {**key, "attempt": claimed.attempt, "worker_id": worker_id, "payload": Jsonb(dict(payload))},
        )
        await conn.execute(QUERIES["start_ingesting"], {"run_id": run_id})
    return claimed


async def renew_partition(
    conn: AsyncConnection[Any], claimed: ClaimedPartition, *, lease_seconds: float
) -> None:
    """Raises LeaseLost when somebody else holds it, or the run was cancelled."""
    cursor = await conn.execute(
        QUERIES["renew_partition"], {**_fence(claimed), "lease": timedelta(seconds=lease_seconds)}
    )
    if await cursor.fetchone() is None:
        raise _lost(claimed)


async def advance_partition(
    conn: AsyncConnection[Any], claimed: ClaimedPartition, progress: Progress, *, lease_seconds: float
) -> None:
    """Move the cursor and extend the lease, in the caller's transaction with the rows it stands for."""
    cursor = await conn.execute(
        QUERIES["advance_partition"],
        {
            **_fence(claimed),
            "cursor": Jsonb(progress.cursor),
            "fetched": progress.fetched,
            "distinct": progress.distinct,
            "unchanged": progress.unchanged,
            "unreadable": progress.unreadable,
            "pages": progress.pages,
            "disputed": progress.disputed,
            "notes": Jsonb(list(progress.notes)),
            "lease": timedelta(seconds=lease_seconds),
        },
    )
    if await cursor.fetchone() is None:
        raise _lost(claimed)


async def count_failures(conn: AsyncConnection[Any], claimed: ClaimedPartition) -> int:
    """Attempts in a row, before this one ends, that moved nothing forward. Raises LeaseLost."""
    cursor = await conn.execute(QUERIES["count_failures"], _fence(claimed))
    row = await cursor.fetchone()
    if row is None:
        raise _lost(claimed)
    return int(row[0])


async def leave_partition(
    conn: AsyncConnection[Any],
    claimed: ClaimedPartition,
    *,
    state: PartitionState,
    error: str | None = None,
    counts_as_failure: bool = False,
    delay_seconds: float = 0,
) -> RunState:
    """End the attempt and settle the run if it was the last; returns the state the run is in then.

    Raises LeaseLost, changing nothing, when the lease is no longer ours.
    """
    async with conn.transaction():
        cursor = await conn.execute(
            QUERIES["leave_partition"],
            {
                **_fence(claimed),
                "state": state,
                "error": error,
                "failures": int(counts_as_failure),
                "delay": timedelta(seconds=delay_seconds) if delay_seconds else None,
            },
        )
        if await cursor.fetchone() is None:
            raise _lost(claimed)
        await conn.execute(
            QUERIES["finish_attempt"],
            {
                "run_id": claimed.run_id,
                "partition_id": claimed.partition_id,
                "attempt": claimed.attempt,
                "status": "completed" if state is PartitionState.COMPLETED else "failed",
                "error": error,
            },
        )
        return await settle_run(conn, claimed.run_id)


async def settle_run(conn: AsyncConnection[Any], run_id: UUID) -> RunState:
    """Under the run's row lock: ingested when every partition is complete, failed when the rest is settled.

    Must run inside the transaction that settled a partition, so that of two last ones exactly one sees both.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["lock_run"], {"run_id": run_id})
        run = await cursor.fetchone()
        if run is None:
            raise _unknown(run_id)
        state = RunState(run["state"])
        if state is not RunState.INGESTING:
            return state
        await cursor.execute(QUERIES["tally_partitions"], {"run_id": run_id})
        tally = _the(await cursor.fetchone())
        if tally["unsettled"]:
            return state
        if tally["failed"]:
            error = f"{tally['failed']} partitions failed: {tally['reasons']}"[:2000]
            await cursor.execute(QUERIES["fail_ingestion"], {"run_id": run_id, "error": error})
            return RunState.FAILED
        if tally["open_catch_up"]:
            return state
        await cursor.execute(QUERIES["finish_ingestion"], {"run_id": run_id, "feed": run["feed"]})
        return RunState.INGESTED


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
    """Put failed partitions back to work at their cursors; returns their ids.

    Raises RunRefused when a newer run of the feed exists (only closing is left then), when the run is not failed,
    or when no partition of it failed.
    """
    async with conn.transaction():
        state = await _lock(conn, run_id)
        if state not in (RunState.FAILED, RunState.INGESTING):
            raise RunRefused(
                f"run: {run_id} is {state}; only failed partitions of a failed run can be retried"
            )
        await _refuse_when_newer(conn, run_id)
        async with conn.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(
                QUERIES["retry_partitions"], {"run_id": run_id, "partition_id": partition_id}
            )
            retried: list[str] = await cursor.fetchall()
        if not retried:
            which = (
                f"partition {partition_id!r} is not among the failed ones"
                if partition_id
                else "none has failed"
            )
            raise RunRefused(f"run: of the partitions of {run_id} {which}; see: diamond status {run_id}")
        await _guarded(conn, "set_ingesting_again", run_id, {})
        await _audit(conn, actor, "run.retry", run_id, {"partitions": retried})
    return retried


async def cancel_run(conn: AsyncConnection[Any], run_id: UUID, *, actor: str) -> None:
    """Close a run that is not complete; workers and consolidators stop at their next step."""
    closing = {"run_id": run_id, "error": f"cancelled by {actor}"}
    async with conn.transaction():
        # Partitions before the run, as a worker locks them that ends one.
        await conn.execute(QUERIES["release_partitions"], closing)
        state = await _lock(conn, run_id)
        if state in (RunState.COMPLETED, RunState.CANCELLED):
            raise RunRefused(f"run: {run_id} is {state} and cannot be cancelled")
        await conn.execute(QUERIES["close_open_attempts"], closing)
        await conn.execute(QUERIES["close_run"], closing)
        await _audit(conn, actor, "run.cancel", run_id, {"state": state})


async def start_consolidating(conn: AsyncConnection[Any], run_id: UUID, *, force: bool, actor: str) -> Run:
    """A person's wish: take the run into consolidation, or join one that is there already; audited in either case.

    A run that failed while it was consolidated goes on; one with unread partitions only by force, and then the
    watermark stays. Raises RunRefused when it is not ready.
    """
    async with conn.transaction():
        state = await _lock(conn, run_id)
        run = await get_run(conn, run_id)
        is_partial = run.completed_workers < run.expected_workers
        if state is RunState.FAILED and (force or not is_partial):
            await _refuse_when_newer(conn, run_id)
        elif state not in (RunState.INGESTED, RunState.CONSOLIDATING):
            hint = "; consolidate what is there with --force" if state is RunState.FAILED else ""
            raise RunRefused(f"run: {run_id} is {state}, not ready for consolidation{hint}")
        await _audit(conn, actor, "run.consolidate", run_id, {"forced": is_partial})
        if state is RunState.CONSOLIDATING:
            return run
        return await _begin_consolidation(conn, run, forced=is_partial)


async def join_consolidation(conn: AsyncConnection[Any], run_id: UUID) -> Run:
    """What a wake-up may do: begin the consolidation of a run that is read, or join one that is under way.

    Raises RunRefused for any other run: one that failed waits for a person (``start_consolidating``), however many
    of its messages are still under way, and one that was postponed for its time.
    """
    async with conn.transaction():
        state = await _lock(conn, run_id)
        if state is RunState.INGESTED:
            return await _begin_consolidation(conn, await get_run(conn, run_id), forced=False)
        if state is not RunState.CONSOLIDATING:
            raise RunRefused(f"run: {run_id} is {state}, there is nothing to consolidate")
        async with conn.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(QUERIES["postponed_until"], {"run_id": run_id})
            until = await cursor.fetchone()
        if until is not None:
            raise RunRefused(
                f"run: the consolidation of {run_id} failed and is tried again at {until:%H:%M:%S}"
            )
        return await get_run(conn, run_id)


async def take_run(conn: AsyncConnection[Any], run_id: UUID) -> DueRun:
    """Make a run due now because a person wants it, and count the wake. Raises UnknownRun."""
    async with conn.cursor(row_factory=class_row(DueRun)) as cursor:
        await cursor.execute(QUERIES["take_run"], {"run_id": run_id})
        due = await cursor.fetchone()
    if due is None:
        raise _unknown(run_id)
    return due


async def take_finalisation(conn: AsyncConnection[Any], run_id: UUID, *, lease_seconds: float) -> UUID | None:
    """The right to end the run, or None: stones are still pending, somebody else has it, or the run is over.

    Whether anything is left is asked plainly under the run's row lock; an empty locked read would also mean that
    another consolidator is at work.
    """
    async with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["lock_run"], {"run_id": run_id})
        await cursor.execute(
            QUERIES["take_finalisation"], {"run_id": run_id, "lease": timedelta(seconds=lease_seconds)}
        )
        row = await cursor.fetchone()
    return row["finalise_token"] if row else None


async def renew_finalisation(
    conn: AsyncConnection[Any], run_id: UUID, token: UUID, *, lease_seconds: float
) -> None:
    """Raises LeaseLost when the run was cancelled or somebody else ends it now."""
    cursor = await conn.execute(
        QUERIES["renew_finalisation"],
        {"run_id": run_id, "token": token, "lease": timedelta(seconds=lease_seconds)},
    )
    if await cursor.fetchone() is None:
        raise LeaseLost(f"consolidate: ending run {run_id} is no longer ours; its new holder goes on")


async def complete_run(
    conn: AsyncConnection[Any], run_id: UUID, token: UUID, *, watermark_after: datetime | None
) -> None:
    """The last step; the watermark store was written before. Raises LeaseLost."""
    async with conn.transaction():
        cursor = await conn.execute(
            QUERIES["complete_run"], {"run_id": run_id, "token": token, "watermark_after": watermark_after}
        )
        if await cursor.fetchone() is None:
            raise LeaseLost(f"consolidate: ending run {run_id} is no longer ours; its new holder goes on")
        await conn.execute(QUERIES["resolve_superseded_unreadable"], {"run_id": run_id})


async def postpone_consolidation(
    conn: AsyncConnection[Any],
    run_id: UUID,
    *,
    error: str,
    delay_seconds: float,
    longest_delay_seconds: float,
    max_attempts: int,
) -> RunState:
    """A consolidation that failed is tried again after a delay, doubled each time; the ``max_attempts``-th fails it."""
    async with conn.transaction(), conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(
            QUERIES["postpone_consolidation"],
            {
                "run_id": run_id,
                "error": error[:2000],
                "delay": timedelta(seconds=delay_seconds),
                "longest": timedelta(seconds=longest_delay_seconds),
                "max_attempts": max_attempts,
            },
        )
        state = await cursor.fetchone()
    return RunState(state) if state else RunState.CANCELLED


async def store_density_scan(
    conn: AsyncConnection[Any],
    *,
    feed: str,
    run_id: UUID | None,
    scan: Mapping[str, Any],
    api_calls: int,
    scanned_at: datetime,
) -> None:
    """``scan`` is a density map as JSON: ``lab_grown``, ``total``, ``cells``."""
    await conn.execute(
        QUERIES["insert_density_scan"],
        {
            "feed": feed,
            "lab_grown": scan["lab_grown"],
            "total": scan["total"],
            "cells": Jsonb(scan["cells"]),
            "api_calls": api_calls,
            "scanned_at": scanned_at,
            "run_id": run_id,
        },
    )


async def latest_density_scan(
    conn: AsyncConnection[Any], feed: str, *, lab_grown: bool
) -> Sequence[Any] | None:
    """The cells of the newest full scan of a type, None before the first."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["latest_density_scan"], {"feed": feed, "lab_grown": lab_grown})
        cells: Sequence[Any] | None = await cursor.fetchone()
    return cells


async def database_time(conn: AsyncConnection[Any]) -> datetime:
    """The server's clock: the one clock that all processes share."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute("SELECT clock_timestamp()")
        now: datetime = _the(await cursor.fetchone())
    return now


async def _begin_consolidation(conn: AsyncConnection[Any], run: Run, *, forced: bool) -> Run:
    await _guarded(conn, "start_consolidating", run.run_id, {"feed": run.feed, "forced": forced})
    return await get_run(conn, run.run_id)


async def _lock(conn: AsyncConnection[Any], run_id: UUID) -> RunState:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["lock_run"], {"run_id": run_id})
        row = await cursor.fetchone()
    if row is None:
        raise _unknown(run_id)
    return RunState(row["state"])


def _unknown(run_id: UUID) -> UnknownRun:
    return UnknownRun(f"run: there is no run {run_id}; list them with: diamond status")


async def _refuse_when_newer(conn: AsyncConnection[Any], run_id: UUID) -> None:
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(QUERIES["newer_run_exists"], {"run_id": run_id})
        if await cursor.fetchone():
            raise RunRefused(
                f"run: a newer run of the feed exists, so {run_id} can only be closed: diamond cancel {run_id}"
            )


async def _guarded(conn: AsyncConnection[Any], query: str, run_id: UUID, values: Mapping[str, Any]) -> None:
    """Run a statement that makes a run active again; refused while another run of the feed is."""
    try:
        await conn.execute(QUERIES[query], {"run_id": run_id, **values})
    except UniqueViolation as error:
        raise RunRefused(f"run: another run of the feed is active, so {run_id} cannot go on now") from error


async def _audit(
    conn: AsyncConnection[Any], actor: str, action: str, run_id: UUID, details: Mapping[str, Any]
) -> None:
    await record_act(conn, actor=actor, action=action, subject=str(run_id), details=details)


def _the(value: Any | None) -> Any:
    """The row that a statement always returns."""
    if value is None:
        raise RuntimeError("the database returned no row where it always returns one")
    return value


def _fence(claimed: ClaimedPartition) -> dict[str, Any]:
    return {
        "run_id": claimed.run_id,
        "partition_id": claimed.partition_id,
        "lease_token": claimed.lease_token,
    }


def _lost(claimed: ClaimedPartition) -> LeaseLost:
    return LeaseLost(
        f"ingest: the lease of partition {claimed.partition_id} (run {claimed.run_id}) is no longer ours; "
        "what was not committed is read again by its new holder"
    )
