"""Stones in quarantine are mapped anew: now, by the active run or by a run of their own that reads nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row, scalar_row

from diamond_opus.db.audit import record_act
from diamond_opus.db.queries import load_queries
from diamond_opus.observability.trace import current_trace, new_trace_id, run_root
from diamond_opus.observability.tracing import begin
from diamond_opus.runs import store as runs
from diamond_opus.runs.model import RunPlan, RunRefused, RunState, RunType

QUERIES = load_queries("diamond_opus.consolidate", "replay.sql")


@dataclass(frozen=True, slots=True)
class Replay:
    """How many stones are pending again, and which run consolidates them; ``is_new`` when it was made for them."""

    stones: int
    run_id: UUID
    run_state: RunState
    is_new: bool


async def replay_rejected(
    conn: AsyncConnection[Any],
    feed: str,
    *,
    ids: Sequence[str] | None,
    reason: str | None,
    actor: str,
    time_limit_seconds: float | None = None,
) -> Replay:
    """Make the raw answers of open rejections pending: those of ``ids``, of ``reason``, or of both at once.

    An active run takes them along. Without one a replay is started, unless the newest run failed: then its own
    stones are pending too, and whether those are consolidated is decided with that run. Raises RunRefused.
    """
    async with conn.transaction():
        # Stones before the run, as a batch locks them.
        async with conn.cursor(row_factory=scalar_row) as cursor:
            wanted = {"feed": feed, "ids": None if ids is None else list(ids), "reason": reason}
            await cursor.execute(QUERIES["make_pending"], wanted)
            pending: list[str] = await cursor.fetchall()
        if not pending:
            raise RunRefused(
                f"replay: no stone of {feed} in quarantine matches; see GET /api/v2/analytics/rejected"
            )
        run_id, state, is_new = await _who_consolidates(conn, feed, time_limit_seconds)
        await record_act(
            conn,
            actor=actor,
            action="rejected.replay",
            subject=feed,
            details={"stones": len(pending), "ids": pending[:100], "reason": reason, "runId": str(run_id)},
        )
    return Replay(len(pending), run_id, state, is_new)


async def _who_consolidates(
    conn: AsyncConnection[Any], feed: str, time_limit_seconds: float | None
) -> tuple[UUID, RunState, bool]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(QUERIES["lock_active_run"], {"feed": feed})
        active = await cursor.fetchone()
        if active is not None:
            if active["is_ending"]:
                raise RunRefused(f"replay: run {active['run_id']} is just ending; try again in a moment")
            return active["run_id"], RunState(active["state"]), False
        await cursor.execute(QUERIES["newest_reading"], {"feed": feed})
        newest = await cursor.fetchone()
    if newest is not None and newest["state"] == RunState.FAILED:
        raise RunRefused(
            f"replay: run {newest['run_id']} failed and holds stones that are not consolidated; retry, consolidate "
            "or cancel it first"
        )
    trace_id = new_trace_id()
    with begin(run_root(trace_id), "plan replay", attributes={"diamond.feed": feed}, links=[current_trace()]):
        plan = await _plan(conn, feed, trace_id, time_limit_seconds)
        return await runs.create_run(conn, plan), RunState.INGESTED, True


async def _plan(
    conn: AsyncConnection[Any], feed: str, trace_id: str, time_limit_seconds: float | None
) -> RunPlan:
    return RunPlan(
        feed=feed,
        run_type=RunType.INCREMENTAL,
        updated_from=None,
        updated_to=await runs.database_time(conn),
        watermark_before=None,
        trace_id=trace_id,
        expected_records=0,
        partitions=(),
        is_replay=True,
        time_limit_seconds=time_limit_seconds,
    )
