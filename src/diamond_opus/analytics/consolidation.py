"""How far consolidation is: over everything, for the newest runs, and for one run."""

from collections.abc import Sequence
from uuid import UUID

from diamond_opus.analytics.remembered import Remembered
from diamond_opus.analytics.rows import Answer, fetch_all, fetch_answers, fetch_value
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.runs import store
from diamond_opus.runs.model import RunState

QUERIES = load_queries("diamond_opus.analytics", "consolidation.sql")


async def consolidation_totals(conn: Connection, raw: Remembered[int]) -> Answer:
    """Over all raw answers; ``raw`` is how many there are."""
    pending = await count_pending(conn)
    total = max(raw.value, pending)
    return {
        "totalRaw": total,
        "totalConsolidated": total - pending,
        "totalPending": pending,
        "progressPercent": percent(total - pending, total),
        "countedAt": raw.counted_at,
        "isCurrent": raw.is_current,
    }


async def count_pending(conn: Connection) -> int:
    """Answers that no consolidation has taken yet."""
    return int(await fetch_value(conn, QUERIES["count_pending"]))


async def newest_consolidations(conn: Connection, *, limit: int) -> Sequence[Answer]:
    """The newest runs with their outcome; ``liveProgress`` is there while a run is consolidated."""
    rows = await fetch_answers(conn, QUERIES["newest_consolidations"], {"limit": limit})
    for row in rows:
        row["outcome"] = _outcome(row)
        row["liveProgress"] = _progress(row) if row["state"] == RunState.CONSOLIDATING else None
    return rows


async def consolidation_of_run(conn: Connection, run_id: UUID) -> Answer:
    """Of the answers that the run brought: what was unchanged is none of them. Raises UnknownRun."""
    run = await store.get_run(conn, run_id)
    [pending] = await fetch_all(conn, QUERIES["pending_of_run"], {"run_id": run_id})
    is_read = run.state in (RunState.PLANNED, RunState.INGESTING)  # what it brings is not counted yet
    brought = max(run.distinct_records - run.unchanged_records, pending["pending"])
    return {
        "runId": run_id,
        "state": run.state,
        "totalRawDiamonds": brought,
        "consolidatedCount": brought - pending["pending"],
        "pendingCount": pending["pending"],
        "failedCount": int(await fetch_value(conn, QUERIES["rejected_of_run"], {"run_id": run_id})),
        "progressPercent": 0.0 if is_read else percent(brought - pending["pending"], brought),
        "oldestPendingCreatedAt": pending["oldest"],
    }


def percent(part: int, whole: int) -> float:
    """To one decimal; of nothing all is done.

    >>> percent(1, 3), percent(0, 0)
    (33.3, 100.0)
    """
    return round(100 * part / whole, 1) if whole else 100.0


def _outcome(row: Answer) -> str:
    """``success``, ``partial``, ``failed``, ``running`` or ``not_started``."""
    if row["state"] == RunState.COMPLETED:
        return "success" if row["status"] == "completed" else "partial"
    if row["state"] == RunState.CONSOLIDATING:
        return "running"
    return "failed" if row["consolidationStartedAt"] and row["status"] == "failed" else "not_started"


def _progress(row: Answer) -> Answer:
    processed, total = row["consolidationProcessed"], row["consolidationTotal"]
    return {
        "processed": processed,
        "errors": row["consolidationErrors"],
        "total": max(total, processed),
        "progressPercent": percent(processed, max(total, processed)),
        "postponedUntil": row["nextAttemptAt"],
    }
