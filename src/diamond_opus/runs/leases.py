"""A partition in the hands of a worker: taken, kept, moved forward, left. Every step is fenced by the lease."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row, tuple_row
from psycopg.types.json import Jsonb

from diamond_opus.db.pool import patience
from diamond_opus.observability.metrics import LEASE_RECOVERIES
from diamond_opus.runs.model import (
    ClaimedPartition,
    LeaseLost,
    PartitionState,
    Progress,
    RunState,
)
from diamond_opus.runs.steps import QUERIES, describe_failed, the, unknown_run


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
        abandoned = (await conn.execute(QUERIES["close_abandoned_attempts"], key)).rowcount
        await conn.execute(
            QUERIES["insert_attempt"],
            {**key, "attempt": claimed.attempt, "worker_id": worker_id, "payload": Jsonb(dict(payload))},
        )
        await conn.execute(QUERIES["start_ingesting"], {"run_id": run_id})
    if abandoned:
        LEASE_RECOVERIES.labels(claimed.feed).inc()
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
    conn: AsyncConnection[Any],
    claimed: ClaimedPartition,
    progress: Progress,
    *,
    number: int,
    lease_seconds: float,
) -> bool:
    """Move the cursor and extend the lease, in the caller's transaction with the rows it stands for.

    ``number`` counts this partition's commits from ``claimed.commits`` on. False when the one of this number happened
    already and only its answer was lost: then nothing is left to do. Raises LeaseLost.
    """
    step = {**_fence(claimed), "number": number}
    cursor = await conn.execute(
        QUERIES["advance_partition"],
        {
            **step,
            "cursor": Jsonb(progress.cursor),
            "fetched": progress.fetched,
            "distinct": progress.distinct,
            "unreadable": progress.unreadable,
            "pages": progress.pages,
            "disputed": progress.disputed,
            "notes": Jsonb(list(progress.notes)),
            "lease": timedelta(seconds=lease_seconds),
        },
    )
    if await cursor.fetchone() is not None:
        return True
    cursor = await conn.execute(QUERIES["has_advanced"], step)
    if await cursor.fetchone() is None:
        raise _lost(claimed)
    return False


async def note_stored(
    conn: AsyncConnection[Any], claimed: ClaimedPartition, *, unchanged: int, unreadable: int
) -> None:
    """Add what storing the rows found out, in the transaction that advanced the partition."""
    await conn.execute(
        QUERIES["note_stored"], {**_fence(claimed), "unchanged": unchanged, "unreadable": unreadable}
    )


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
    enough_percent: float | None = None,
) -> RunState:
    """End the attempt and settle the run (see ``settle_run``) if it was the last; returns the run's state then.

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
        return await settle_run(conn, claimed.run_id, enough_percent=enough_percent)


async def settle_run(
    conn: AsyncConnection[Any], run_id: UUID, *, enough_percent: float | None = None
) -> RunState:
    """Under the run's row lock: ingested when every partition is complete, failed when the rest is settled.

    With ``enough_percent`` of its ranges complete it is ingested in spite of the others, and partial. Must run inside
    the transaction that settled a partition, so that of two last ones exactly one sees both.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["lock_run"], {"run_id": run_id})
        run = await cursor.fetchone()
        if run is None:
            raise unknown_run(run_id)
        state = RunState(run["state"])
        if state is not RunState.INGESTING:
            return state
        await cursor.execute(QUERIES["has_unsettled"], {"run_id": run_id})
        if the(await cursor.fetchone())["exists"]:
            return state
        await cursor.execute(QUERIES["tally_partitions"], {"run_id": run_id})
        tally = the(await cursor.fetchone())
        error = describe_failed(tally)
        if error is not None and not _is_enough(tally, enough_percent):
            await cursor.execute(QUERIES["fail_ingestion"], {"run_id": run_id, "error": error})
            return RunState.FAILED
        if error is None and tally["open_catch_up"]:
            return state
        with patience():
            await cursor.execute(
                QUERIES["finish_ingestion"], {"run_id": run_id, "feed": run["feed"], "error": error}
            )
        return RunState.INGESTED


def _is_enough(tally: Mapping[str, Any], percent: float | None) -> bool:
    """Nothing read at all is never enough."""
    completed = int(tally["completed_ranges"])
    return percent is not None and completed > 0 and 100 * completed >= percent * int(tally["ranges"])


async def leases_held(conn: AsyncConnection[Any], run_id: UUID) -> tuple[int, float]:
    """How many partitions somebody holds, and in how many seconds the last of those leases ends."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(QUERIES["leases_held"], {"run_id": run_id})
        partitions, seconds = the(await cursor.fetchone())
    return int(partitions), float(seconds)


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
