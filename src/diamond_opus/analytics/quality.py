"""What could not be used and why: a run's quality report, and the quarantine with its payloads."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from diamond_opus.analytics.rows import Answer, Page, answer, fetch_all, fetch_answers, fetch_page
from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.runs import store

QUERIES = load_queries("diamond_opus.analytics", "quality.sql")


@dataclass(frozen=True, slots=True)
class RejectedFilter:
    """None lets everything pass; ``resolved`` False is what is still in quarantine."""

    feed: str | None = None
    reason: str | None = None
    run_id: UUID | None = None
    resolved: bool | None = None

    def values(self) -> dict[str, Any]:
        return {
            "feed": self.feed,
            "reason": self.reason,
            "run_id": self.run_id,
            "resolved": self.resolved,
        }


async def quality_report(conn: Connection, run_id: UUID) -> Answer:
    """How many, why, examples. Raises UnknownRun.

    A stone counts for the run that refused it last, so that ``rejected_records`` of an older run may be more.
    """
    run = await store.get_run(conn, run_id)
    of_run = {"run_id": run_id}
    return {
        "runId": run_id,
        "distinctRecords": run.distinct_records,
        "rejectedRecords": run.rejected_records,
        "unreadableRecords": run.unreadable_records,
        "rejections": await fetch_answers(conn, QUERIES["rejections_by_reason"], of_run),
        "unreadable": await fetch_answers(conn, QUERIES["unreadable_by_reason"], of_run),
        "warnings": await fetch_answers(conn, QUERIES["warnings_by_path"], of_run),
    }


async def list_rejected(conn: Connection, wanted: RejectedFilter, *, limit: int, offset: int) -> Page:
    """Those seen last first."""
    return await fetch_page(
        conn, QUERIES["list_rejected"], QUERIES["count_rejected"], wanted.values(), limit=limit, offset=offset
    )


async def get_rejected(conn: Connection, feed: str, supplier_stone_id: str) -> Answer | None:
    """With its payload, exactly as it was received."""
    key = {"feed": feed, "supplier_stone_id": supplier_stone_id}
    rows = await fetch_all(conn, QUERIES["get_rejected"], key)
    if not rows:
        return None
    shown = answer(rows[0])
    shown["payload"] = orjson.Fragment(shown["payload"]) if shown["payload"] is not None else None
    return shown
