"""The second half of a run: taken into consolidation, shared, ended once, or tried again."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row, scalar_row

from diamond_opus.db.pool import patience
from diamond_opus.runs.model import (
    LeaseLost,
    Run,
    RunRefused,
    RunState,
)
from diamond_opus.runs.steps import (
    QUERIES,
    activate,
    audit,
    describe_failed,
    lock_run,
    refuse_when_newer,
    the,
)
from diamond_opus.runs.store import get_run


async def start_consolidating(conn: AsyncConnection[Any], run_id: UUID, *, force: bool, actor: str) -> Run:
    """A person's wish: take the run into consolidation, or join one that is there already; audited in either case.

    A run that failed while it was consolidated goes on, as a partial one if it was; any other with unread partitions
    only by force, and then the watermark stays. Raises RunRefused when it is not ready.
    """
    async with conn.transaction():
        state = await lock_run(conn, run_id)
        run = await get_run(conn, run_id)
        is_incomplete = run.completed_workers < run.expected_workers
        goes_on = run.is_partial and run.consolidation_completed_at is None
        if state is RunState.FAILED and (force or goes_on or not is_incomplete):
            await refuse_when_newer(conn, run_id)
        elif state not in (RunState.INGESTED, RunState.CONSOLIDATING):
            hint = "; consolidate what is there with --force" if state is RunState.FAILED else ""
            raise RunRefused(f"run: {run_id} is {state}, not ready for consolidation{hint}")
        forced = is_incomplete and (force or not goes_on)
        await audit(conn, actor, "run.consolidate", run_id, {"forced": forced})
        if state is RunState.CONSOLIDATING:
            return run
        return await _begin_consolidation(conn, run, forced=forced)


async def join_consolidation(conn: AsyncConnection[Any], run_id: UUID) -> Run:
    """What a wake-up may do: begin the consolidation of a run that is read, or join one that is under way.

    Raises RunRefused for any other run: one that failed waits for a person (``start_consolidating``), however many
    of its messages are still under way, and one that was postponed for its time.
    """
    async with conn.transaction():
        state = await lock_run(conn, run_id)
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


async def end_partial(conn: AsyncConnection[Any], run_id: UUID, token: UUID) -> str:
    """The last step of a run whose other ranges failed: failed, and due for a retry; returns why. Raises LeaseLost."""
    async with conn.transaction(), conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["tally_partitions"], {"run_id": run_id})
        reason = describe_failed(the(await cursor.fetchone()))
        error = f"{reason}; what is complete was consolidated"
        await cursor.execute(
            QUERIES["end_partial_consolidation"], {"run_id": run_id, "token": token, "error": error}
        )
        if await cursor.fetchone() is None:
            raise LeaseLost(f"consolidate: ending run {run_id} is no longer ours; its new holder goes on")
    return error


async def postpone_consolidation(
    conn: AsyncConnection[Any],
    run_id: UUID,
    *,
    error: str,
    delay_seconds: float,
    longest_delay_seconds: float,
    max_attempts: int | None,
) -> RunState:
    """A consolidation that failed is tried again after a delay, doubled each time; the ``max_attempts``-th fails it.

    With None it does not count, and the delay stays: the database serves nobody, which is not this run's fault.
    """
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


async def _begin_consolidation(conn: AsyncConnection[Any], run: Run, *, forced: bool) -> Run:
    with patience():
        await activate(conn, "start_consolidating", run.run_id, {"feed": run.feed, "forced": forced})
    return await get_run(conn, run.run_id)
