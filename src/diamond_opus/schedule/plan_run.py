"""Plans a run: its type, its window, its partitions by real counts; stores it whole and wakes the workers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.protocol import Alert, Alerts, Severity
from diamond_opus.db.errors import is_outage
from diamond_opus.domain.errors import DiamondError
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import StoneSource
from diamond_opus.observability.logging import bind, get_logger
from diamond_opus.observability.trace import current_trace, new_trace_id, run_root
from diamond_opus.observability.tracing import begin
from diamond_opus.partitioning.density import DensityMap
from diamond_opus.partitioning.plan import plan_partitions
from diamond_opus.partitioning.settings import HeatmapSettings
from diamond_opus.queue.protocol import Queue
from diamond_opus.runs import density
from diamond_opus.runs import store as runs
from diamond_opus.runs.model import PartitionPlan, RunPlan, RunRefused, RunType
from diamond_opus.schedule.count_density import OnCount, Scan, count_density
from diamond_opus.wakeups import wake_partitions, wake_runs
from diamond_opus.watermark.protocol import Watermark, WatermarkStore

log = get_logger("schedule")

Pool = AsyncConnectionPool[AsyncConnection[Any]]


@dataclass(frozen=True, slots=True)
class PlanningSettings:
    """``safety_minutes`` is how far an incremental run reads back behind the watermark."""

    safety_minutes: int = 15
    run_timeout_seconds: float = 12 * 3600
    heatmap: HeatmapSettings = field(default_factory=HeatmapSettings)


async def plan_run(
    *,
    pool: Pool,
    source: StoneSource,
    watermarks: WatermarkStore,
    work_items: Queue,
    consolidate: Queue,
    alerts: Alerts,
    run_type: RunType | None,
    settings: PlanningSettings,
    on_count: OnCount | None = None,
    run_id: UUID | None = None,
) -> UUID:
    """Returns the new run's id, which is ``run_id`` if given.

    Raises RunRefused while the feed has an active run, and what the source raises.

    Nothing is stored before the plan is whole: a planner that dies leaves no half-planned run behind. The window's
    end is the database's time before the first count, so whatever changes while we plan is in the next window.
    """
    feed = source.name
    trace_id, run_id = new_trace_id(), run_id or uuid4()
    names = {"diamond.run_id": run_id, "diamond.feed": feed}
    # Whoever asked for the run has a trace of their own: a run goes on for hours after they have their answer.
    async with _telling(alerts, feed):
        with (
            begin(run_root(trace_id), "plan run", attributes=names, links=[current_trace()]) as planning,
            bind(run_id=str(run_id)),
        ):
            window = await _choose_window(pool, watermarks, feed, run_type, settings)
            scans = await scan_density(
                pool, source, window.run_type, window.updated_from, settings.heatmap, on_count=on_count
            )
            plan = _plan(feed, window, scans, settings, trace_id)
            await _store(pool, plan, run_id, scans)
            partitions, stones = len(plan.partitions), plan.expected_records
            planning.set({"diamond.run_type": plan.run_type, "partitions": partitions, "stones": stones})
            log.info("run_planned", run_type=plan.run_type, partitions=partitions, stones=stones)
            if window.is_ahead:
                await _warn_of_watermark(alerts, plan, run_id)
            if window.foreign is not None:
                await _warn_of_foreign_watermark(alerts, plan, run_id, window.foreign)
            if not stones:
                await _warn_of_empty(alerts, plan, run_id)
            async with pool.connection() as conn:
                due = await runs.take_due_partitions(conn, quiet_seconds=0, feed=feed, limit=10_000)
                due_runs = await runs.take_due_runs(conn, quiet_seconds=0, feed=feed)
            await wake_partitions(work_items, due)
            await wake_runs(consolidate, due_runs)
    return run_id


@asynccontextmanager
async def _telling(alerts: Alerts, feed: str) -> AsyncIterator[None]:
    """Whoever asked for the run may be a clock: a person has to know that there is none."""
    try:
        yield
    except RunRefused:
        raise
    except (DiamondError, psycopg.Error, OSError) as error:
        if not is_outage(error):  # that the database is away is told by whoever looks for trouble
            await alerts.raise_alert(
                Alert(
                    severity=Severity.WARNING,
                    event="planning_failed",
                    title=f"No run of {feed} could be planned",
                    text=f"{error}. Nothing was stored; shops see the inventory as it was.",
                    subject=feed,
                    cause="The supplier is away, refuses us or our login, or a setting is wrong.",
                    action="diamond doctor, then: diamond schedule",
                    page="/runs",
                )
            )
        raise


@dataclass(frozen=True, slots=True)
class _Window:
    """What a run is to read: all that changed between the two moments, or everything.

    ``foreign`` is what the store had instead of ``watermark``, written by a run that this database does not know.
    """

    run_type: RunType
    watermark: datetime | None
    updated_from: datetime | None
    updated_to: datetime
    foreign: Watermark | None

    @property
    def is_ahead(self) -> bool:
        return self.watermark is not None and self.watermark > self.updated_to


async def _choose_window(
    pool: Pool, watermarks: WatermarkStore, feed: str, run_type: RunType | None, settings: PlanningSettings
) -> _Window:
    """Raises RunRefused while the feed has an active run."""
    async with pool.connection() as conn:
        active = await runs.find_active_run(conn, feed)
        if active is not None:
            raise RunRefused(
                f"run: feed {feed} already has an active run, {active.run_id} ({active.state}); "
                f"wait for it, or cancel it with: diamond cancel {active.run_id}"
            )
        updated_to = await runs.database_time(conn)
    watermark = await watermarks.read(feed)
    before = watermark.last_updated_at if watermark else None
    is_ahead = before is not None and before > updated_to
    is_foreign = watermark is not None and not is_ahead and not await _is_our_own(pool, watermark)
    if is_foreign and before is not None:
        before = await _known_to(pool, feed, before)
    is_usable = before is not None and before <= updated_to
    chosen = run_type or (RunType.INCREMENTAL if is_usable else RunType.FULL)
    updated_from = None
    if chosen is RunType.INCREMENTAL and before is not None and is_usable:
        updated_from = before - timedelta(minutes=settings.safety_minutes)
    elif chosen is RunType.INCREMENTAL:
        log.warning("no_watermark", feed=feed, consequence="this incremental run reads everything")
    return _Window(chosen, before, updated_from, updated_to, watermark if is_foreign else None)


async def _store(pool: Pool, plan: RunPlan, run_id: UUID, scans: Sequence[Scan]) -> None:
    async with pool.connection() as conn, conn.transaction():
        await runs.create_run(conn, plan, run_id=run_id)
        if plan.updated_from is None:
            for scan in scans:
                await _store_scan(conn, plan.feed, run_id, scan, plan.updated_to)


async def scan_density(
    pool: Pool,
    source: StoneSource,
    run_type: RunType,
    updated_from: datetime | None,
    settings: HeatmapSettings,
    *,
    on_count: OnCount | None = None,
) -> Sequence[Scan]:
    """Both types' density by real counts; an incremental run counts its totals and borrows the last scan's shape."""
    if updated_from is not None:
        return await _borrow_density(pool, source, updated_from)
    limits = settings if run_type is RunType.FULL else settings.for_incremental()
    return await count_density(source, limits, on_count=on_count)


async def _borrow_density(pool: Pool, source: StoneSource, updated_from: datetime) -> Sequence[Scan]:
    scans = []
    for lab_grown in (False, True):
        whole = DensityMap.whole(lab_grown, 0)
        total = await source.count(Selection(lab_grown, updated_from=updated_from))
        async with pool.connection() as conn:
            cells = await density.latest_density_scan(conn, source.name, lab_grown=lab_grown)
        known = whole if cells is None else DensityMap.from_json({**whole.to_json(), "cells": cells})
        scans.append(Scan(known.rescaled(total), 1))
    return scans


def _plan(
    feed: str, window: _Window, scans: Sequence[Scan], settings: PlanningSettings, trace_id: str
) -> RunPlan:
    maps = [scan.density for scan in scans]
    expected = sum(density.total for density in maps)
    is_full = window.run_type is RunType.FULL
    limits = settings.heatmap if is_full else settings.heatmap.for_incremental()
    partitions = [
        PartitionPlan(p.partition_id, p.lab_grown, p.price_from, p.price_to, p.expected_records)
        for p in plan_partitions(maps, limits)
    ]
    if is_full:
        partitions += [
            PartitionPlan("catch-up-natural", False, 0, None, 0, is_catch_up=True),
            PartitionPlan("catch-up-lab-grown", True, 0, None, 0, is_catch_up=True),
        ]
    return RunPlan(
        feed=feed,
        run_type=window.run_type,
        updated_from=window.updated_from,
        updated_to=window.updated_to,
        watermark_before=window.watermark,
        trace_id=trace_id,
        expected_records=expected,
        partitions=tuple(partitions) if expected else (),
        time_limit_seconds=settings.run_timeout_seconds,
    )


async def _store_scan(
    conn: AsyncConnection[Any], feed: str, run_id: UUID, scan: Scan, scanned_at: datetime
) -> None:
    await density.store_density_scan(
        conn,
        feed=feed,
        run_id=run_id,
        scan=scan.density.to_json(),
        api_calls=scan.api_calls,
        scanned_at=scanned_at,
    )


async def _is_our_own(pool: Pool, watermark: Watermark) -> bool:
    """Whether the run that it names is complete in this database; one that names none was set by a person.

    Otherwise it belongs to another state of the database, such as the one before a backup was restored, while the
    watermark in its own store stayed where it was.
    """
    if watermark.last_run_id is None:
        return True
    async with pool.connection() as conn:
        return await runs.is_complete(conn, watermark.last_run_id)


async def _known_to(pool: Pool, feed: str, watermark: datetime) -> datetime | None:
    """Up to when this database knows the feed by its own runs, and no later than ``watermark``; None without any."""
    async with pool.connection() as conn:
        newest = await runs.newest_watermark(conn, feed)
    return None if newest is None else min(newest, watermark)


async def _warn_of_foreign_watermark(
    alerts: Alerts, plan: RunPlan, run_id: UUID, watermark: Watermark
) -> None:
    since = f"what changed since {plan.updated_from}" if plan.updated_from else "everything"
    await alerts.raise_alert(
        Alert(
            severity=Severity.WARNING,
            event="watermark_ahead",
            title=f"The watermark of {plan.feed} is ahead of the database",
            text=f"It is {watermark.last_updated_at} and names run {watermark.last_run_id}, which is not complete in "
            "this database, as after a backup was restored. "
            f"This run reads {since}, and sets it right when it completes.",
            run_id=str(run_id),
            cause="The database was restored from a backup, and the watermark is kept elsewhere.",
            action="Nothing to set right by hand; only a full run sees what went since the backup: "
            "diamond schedule --type full",
            page=f"/runs/{run_id}",
        )
    )


async def _warn_of_watermark(alerts: Alerts, plan: RunPlan, run_id: UUID) -> None:
    await alerts.raise_alert(
        Alert(
            severity=Severity.WARNING,
            event="watermark_ahead",
            title=f"The watermark of {plan.feed} lies in the future",
            text=f"It is {plan.watermark_before}, and the database's clock showed {plan.updated_to}. This run reads "
            "everything and sets it right when it completes.",
            run_id=str(run_id),
            cause="The clock of the database's server was changed, or a person set the watermark.",
            action="Look at the server's clock: diamond doctor",
            page=f"/runs/{run_id}",
        )
    )


async def _warn_of_empty(alerts: Alerts, plan: RunPlan, run_id: UUID) -> None:
    if plan.run_type is RunType.INCREMENTAL and plan.updated_from is not None:
        log.info("nothing_changed", run_id=run_id, since=plan.updated_from)
        return
    await alerts.raise_alert(
        Alert(
            severity=Severity.WARNING,
            event="empty_inventory",
            title=f"{plan.feed} shows no stone at all",
            text="The run completes with 0 work items and removes nothing beyond the guard.",
            run_id=str(run_id),
            cause="The account shows no inventory, or NIVODA_FILTER leaves nothing of it.",
            action="Look at both: diamond doctor",
            page=f"/runs/{run_id}",
        )
    )
