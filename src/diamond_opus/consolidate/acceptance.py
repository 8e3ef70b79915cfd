"""Removals that the guard held back: a person accepts them, a consolidator asks for each stone once more and removes.

::

    guarded ─▶ frozen ─▶ gone ─▶ removed       (seen again at any step ─▶ present)

Accepting only writes down the wish; the supplier is asked by whichever consolidator is woken, again and again until
every stone was asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import scalar_row, tuple_row

from diamond_opus.consolidate.removal import QUERIES, Pool, remove_confirmed
from diamond_opus.db.audit import record_act
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import DiamondError
from diamond_opus.feeds.protocol import StoneSource
from diamond_opus.observability.logging import get_logger
from diamond_opus.runs import store as runs
from diamond_opus.runs.keeping import keep_while
from diamond_opus.runs.model import LeaseLost, RunRefused, RunState

log = get_logger("consolidate")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """``candidates`` are looked at again; what was seen since stays, about the rest the supplier is asked."""

    run_id: UUID
    candidates: int


async def accept_removals(conn: AsyncConnection[Any], run_id: UUID, *, actor: str) -> Acceptance:
    """Let the run's guarded candidates be confirmed and removed. Raises UnknownRun, or RunRefused if there are none."""
    async with conn.transaction(), conn.cursor(row_factory=scalar_row) as cursor:
        run = await runs.get_run(conn, run_id)
        if run.state is not RunState.COMPLETED:
            raise RunRefused(
                f"run: {run_id} is {run.state}; its removals can be accepted when it is completed"
            )
        await cursor.execute(QUERIES["count_guarded"], {"run_id": run_id})
        candidates = int(await cursor.fetchone() or 0)
        if not candidates:
            raise RunRefused(
                f"run: no removals of {run_id} wait for a person; it is {run.state} and removed {run.removed_records}"
            )
        await cursor.execute(QUERIES["note_acceptance"], {"run_id": run_id})
        await record_act(
            conn,
            actor=actor,
            action="run.accept_removals",
            subject=str(run_id),
            details={"candidates": candidates},
        )
    return Acceptance(run_id, candidates)


async def settle_accepted(
    pool: Pool,
    run_id: UUID,
    sources: Mapping[str, StoneSource],
    *,
    clock: Clock,
    lease_seconds: float,
    first_backoff_seconds: float,
    longest_backoff_seconds: float,
) -> bool:
    """Do what was accepted, if it is due and nobody else does; False when there is nothing of that kind to do."""
    lease = {"run_id": run_id, "lease": timedelta(seconds=lease_seconds)}
    async with pool.connection() as conn, conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(QUERIES["take_accepted"], lease)
        row = await cursor.fetchone()
    if row is None:
        return False
    feed, token = row

    async def renew() -> None:
        async with pool.connection() as conn:
            cursor = await conn.execute(QUERIES["renew_accepted"], {**lease, "token": token})
            if await cursor.fetchone() is None:
                raise LeaseLost(f"consolidate: another process settles the removals of run {run_id} now")

    try:
        source = sources.get(feed)
        if source is None:
            raise DiamondError(f"this process has no account with {feed}, so it cannot confirm what is gone")
        async with pool.connection() as conn:
            await conn.execute(QUERIES["accept_guarded"], {"run_id": run_id})
        removing = remove_confirmed(pool, run_id, feed, source)
        removed = await keep_while(removing, renew, lease_seconds=lease_seconds, clock=clock)
        async with pool.connection() as conn:
            await conn.execute(QUERIES["settle_accepted"], {"run_id": run_id, "token": token})
        log.info("accepted_removals_settled", run_id=run_id, removed=removed)
    except LeaseLost as lost:
        log.info("consolidation_left", run_id=run_id, reason=str(lost))
    except (DiamondError, psycopg.Error, OSError) as error:
        log.warning("accepted_removals_postponed", run_id=run_id, reason=str(error))
        delays = {
            "delay": timedelta(seconds=first_backoff_seconds),
            "longest": timedelta(seconds=longest_backoff_seconds),
        }
        async with pool.connection() as conn:
            await conn.execute(QUERIES["postpone_accepted"], {"run_id": run_id, "token": token, **delays})
    return True
