"""Tells people what only they can put right: that a run failed, that the disk is full, that the supplier is away.

Why a run failed is written with the failure, in one transaction; that it was told, after it was. So whoever fails a
run tells it at once, and the sweeper tells what was not told: at least once, in the worst case twice.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import DiskFull
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.protocol import Alert, Alerts, Severity
from diamond_opus.db.errors import is_outage
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import Retryable
from diamond_opus.feeds.protocol import StoneSource
from diamond_opus.observability.logging import get_logger
from diamond_opus.runs import store as runs
from diamond_opus.runs.model import Failure, Run

log = get_logger(__name__)

#: How often a full disk is told to be still full.
_STILL_SO_SECONDS = 60.0

_TITLES: Mapping[Failure, str] = {
    Failure.CONSOLIDATION_SKIPPED: "Run {run_id} failed while {feed} was read",
    Failure.CONSOLIDATION_FAILED: "The consolidation of run {run_id} failed",
    Failure.RUN_PARTIAL: "Run {run_id} of {feed} is consolidated without the ranges that failed",
    Failure.RUN_TIMED_OUT: "Run {run_id} of {feed} took too long",
}


_CAUSES: Mapping[Failure, str] = {
    Failure.CONSOLIDATION_SKIPPED: "The supplier refuses or breaks off pages of these ranges, again and again.",
    Failure.CONSOLIDATION_FAILED: "A rule that prices nothing, a database without the rights, or a fault of ours.",
    Failure.RUN_PARTIAL: "The supplier refuses or breaks off pages of these ranges, again and again.",
    Failure.RUN_TIMED_OUT: "No worker was there, the supplier slowed us down, or the inventory has outgrown the time.",
}


async def tell_failures(
    pool: AsyncConnectionPool[AsyncConnection[Any]], alerts: Alerts, *, feed: str | None = None
) -> None:
    """Raise an alert for each failed run of which nobody was told yet."""
    async with pool.connection() as conn:
        untold = await runs.untold_failures(conn, feed=feed)
    for run, failure in untold:
        await alerts.raise_alert(_alert(run, failure))
        async with pool.connection() as conn:
            await runs.mark_told(conn, run.run_id, failure)


def _alert(run: Run, failure: Failure) -> Alert:
    is_read = run.completed_workers == run.expected_workers
    command = f"diamond {'consolidate' if is_read else 'retry'} {run.run_id}"
    removal = " Nothing was removed." if failure is Failure.RUN_PARTIAL else ""
    # A run may time out when only its completion is missing: then the watermark has moved, and nothing was passed over.
    watermark = "passes over nothing" if failure is Failure.RUN_TIMED_OUT else "stays"
    return Alert(
        severity=Severity.ERROR,
        event=failure,
        title=_TITLES[failure].format(run_id=run.run_id, feed=run.feed),
        text=f"{run.error}. The watermark {watermark}.{removal} When the cause is mended: {command}",
        run_id=str(run.run_id),
        since=run.started_at,
        stones=max(0, run.expected_records - run.fetched_records) if not is_read else run.consolidation_total,
        cause=_CAUSES[failure],
        action=command,
        page=f"/runs/{run.run_id}",
    )


class FullDisk:
    """Tells people that the database has no room: at once, and while that lasts every minute that it is still so.

    Every process that meets it tells it; the whole system has one incident.
    """

    def __init__(self, alerts: Alerts, clock: Clock) -> None:
        self._alerts = alerts
        self._clock = clock
        self._told_at: float | None = None

    def note_room(self) -> None:
        self._told_at = None

    async def tell(self, error: BaseException, run_id: UUID | None = None) -> None:
        """Unless it, and what caused it, is something else, or was told just now."""
        now = self._clock.monotonic()
        is_news = self._told_at is None or now - self._told_at >= _STILL_SO_SECONDS
        if not (_is_full_disk(error) and is_news):
            return
        self._told_at = now
        whose = f"run {run_id} waits" if run_id else "nothing goes on"
        look = f"diamond status {run_id}" if run_id else "diamond status"
        await self._alerts.raise_alert(
            Alert(
                severity=Severity.CRITICAL,
                event="database_full",
                title="The database has no room left",
                text=f"{error}; {whose}. Nothing is lost.",
                cause="The disk of the database's server is full.",
                action=f"Make room there; all goes on by itself then: {look}",
                fields={"runId": str(run_id)} if run_id else {},
            )
        )


def _is_full_disk(error: BaseException) -> bool:
    if isinstance(error, DiskFull):
        return True
    return error.__cause__ is not None and _is_full_disk(error.__cause__)


class SupplierOutage:
    """Tells failures of a supplier that answers nobody from those of the work, and people of it once an outage.

    Every process that meets an outage tells it.
    """

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._told: set[str] = set()

    def note_answer(self, feed: str) -> None:
        if feed in self._told:
            self._told.remove(feed)
            log.info("supplier_answers_again", feed=feed)

    async def is_cause(self, error: BaseException, source: StoneSource | None) -> bool:
        """Whether the supplier answers nobody now, which is asked of it.

        An error that no retry mends, or that the database caused, is not the supplier's.
        """
        if source is None or not isinstance(error, Retryable) or is_outage(error):
            return False
        if await source.is_answering():
            self.note_answer(source.name)
            return False
        if source.name not in self._told:
            self._told.add(source.name)
            await self._alerts.raise_alert(
                Alert(
                    severity=Severity.WARNING,
                    event="supplier_unavailable",
                    title=f"{source.name} answers nobody",
                    text=f"{error}. Runs wait for it and go on by themselves.",
                    subject=source.name,
                    cause="The supplier is down, or this machine cannot reach it.",
                    action="If it lasts, look at the account and the network: diamond doctor",
                    page="/runs",
                )
            )
        return True
