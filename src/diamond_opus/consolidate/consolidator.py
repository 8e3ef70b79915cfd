"""A consolidator: takes a run that is read, empties its pending stones with others, and ends it once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import scalar_row
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.protocol import Alert, Alerts, Severity
from diamond_opus.consolidate.acceptance import settle_accepted
from diamond_opus.consolidate.batch import QUERIES, BatchOutcome, consolidate_batch
from diamond_opus.consolidate.drain import Drain, OnChoice
from diamond_opus.consolidate.removal import remove_missing
from diamond_opus.db.errors import is_outage, outages_are_retryable
from diamond_opus.db.pool import run_in_transaction
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import DiamondError, Fatal, Retryable, Superseded
from diamond_opus.failures import FullDisk, SupplierOutage, tell_failures
from diamond_opus.feeds.protocol import StoneMapper, StoneSource
from diamond_opus.observability import metrics
from diamond_opus.observability.logging import bind, get_logger
from diamond_opus.observability.tracing import span, within_run
from diamond_opus.queue.messages import Consolidate, WorkDone
from diamond_opus.queue.protocol import Received
from diamond_opus.runs import consolidating
from diamond_opus.runs import store as runs
from diamond_opus.runs.keeping import keep_while
from diamond_opus.runs.model import Run, RunRefused, RunState, RunType
from diamond_opus.watermark.protocol import Watermark, WatermarkStore, WatermarkUnavailable, advance

log = get_logger("consolidate")

Pool = AsyncConnectionPool[AsyncConnection[Any]]


@dataclass(frozen=True, slots=True)
class ConsolidationSettings:
    """At most ``concurrency`` batches at once, one connection each, of at most ``batch_size`` stones (tuning.py).

    ``guard_share`` is the removal guard.
    """

    batch_size: int = 2000
    concurrency: int = 2
    lease_seconds: float = 120
    guard_share: float = 0.2
    max_attempts: int = 5
    first_backoff_seconds: float = 2
    longest_backoff_seconds: float = 300


#: Classes of errors that a stone's own values can cause: data, constraints, limits of size, a trigger's refusal.
#: Any other (a full disk, a missing column, a time-out) says nothing about a stone and must not quarantine one.
_CAUSED_BY_VALUES = ("22", "23", "54", "P0")


class _RunOver(Superseded):
    """The run was cancelled or ended while its stones were consolidated."""


class Consolidator:
    """Handles ``consolidate`` and ``work-done``; any number of them share a run's stones."""

    def __init__(
        self,
        *,
        pool: Pool,
        mappers: Mapping[str, StoneMapper],
        sources: Mapping[str, StoneSource],
        watermarks: WatermarkStore,
        alerts: Alerts,
        clock: Clock,
        settings: ConsolidationSettings,
        on_choice: OnChoice | None = None,
    ) -> None:
        self._pool = pool
        self._mappers = mappers
        self._sources = sources
        self._watermarks = watermarks
        self._alerts = alerts
        self._full_disk = FullDisk(alerts, clock)
        self._outage = SupplierOutage(alerts)
        self._clock = clock
        self._settings = settings
        self._on_choice = on_choice
        self._drains: dict[str, Drain] = {}

    async def handle_work_done(self, message: Received) -> None:
        """A partition ended somewhere: if its run is ready, take it."""
        done = WorkDone.from_received(message)
        with outages_are_retryable("consolidate"):
            async with self._pool.connection() as conn:
                try:
                    run = await runs.get_run(conn, done.run_id)
                except RunRefused as refusal:
                    log.info("work_done_of_no_run", run_id=done.run_id, reason=str(refusal))
                    return
            if run.state is RunState.INGESTED:
                with bind(partition_id=None):
                    await self.consolidate(run.run_id)

    async def handle_consolidate(self, message: Received) -> None:
        """Whether it is forced was decided, and written down, by whoever asked for it; the message only wakes."""
        run_id = Consolidate.from_received(message).run_id
        with outages_are_retryable("consolidate"):
            if not await self.settle_removals(run_id):
                await self.consolidate(run_id)

    async def settle_removals(self, run_id: UUID) -> bool:
        """Remove what the guard held back and a person accepted; False when nothing of the kind is due."""
        return await settle_accepted(
            self._pool,
            run_id,
            self._sources,
            clock=self._clock,
            lease_seconds=self._settings.lease_seconds,
            first_backoff_seconds=self._settings.first_backoff_seconds,
            longest_backoff_seconds=self._settings.longest_backoff_seconds,
        )

    async def consolidate(self, run_id: UUID) -> None:
        """Work on the run until its stones are done or others do the rest; end it if nothing is left."""
        try:
            async with self._pool.connection() as conn:
                run = await consolidating.join_consolidation(conn, run_id)
        except RunRefused as refusal:
            log.info("consolidation_not_due", run_id=run_id, reason=str(refusal))
            return
        except psycopg.Error as error:
            await self._full_disk.tell(error, run_id)
            raise
        names = {"diamond.run_id": run_id, "diamond.feed": run.feed}
        with (
            within_run(run.trace_id),
            bind(run_id=str(run_id)),
            span("consolidate", attributes=names) as work,
        ):
            log.info("consolidation_started", run_id=run_id, pending=run.consolidation_total)
            try:
                await self._drain(run)
                await self._finalise(run)
            except Superseded as stop:
                log.info("consolidation_left", run_id=run_id, reason=str(stop))
            except (DiamondError, psycopg.Error, OSError) as error:
                work.fail(error)
                await self._postpone(run, error)

    async def _drain(self, run: Run) -> None:
        if run.feed not in self._drains:
            self._drains[run.feed] = Drain(
                run.feed,
                largest_batch=self._settings.batch_size,
                most_lanes=self._settings.concurrency,
                clock=self._clock,
                on_choice=self._on_choice,
            )
        await self._drains[run.feed].drain(partial(self._batch, run))

    async def _batch(self, run: Run, after: str, limit: int) -> BatchOutcome:
        """One batch; values that the database refuses are tried three times, then halved, then quarantined alone."""
        for attempt in range(3):
            try:
                return await self._transact(run, after=after, limit=limit)
            except psycopg.Error as error:
                if not _is_caused_by_values(error):
                    raise
                log.warning(
                    "batch_refused", run_id=run.run_id, after=after, attempt=attempt + 1, reason=str(error)
                )
        async with self._pool.connection() as conn, conn.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(QUERIES["pending_ids"], {"feed": run.feed, "after": after, "limit": limit})
            ids: list[str] = await cursor.fetchall()
        return await self._bisect(run, ids)

    async def _bisect(self, run: Run, ids: Sequence[str]) -> BatchOutcome:
        try:
            return await self._transact(run, after="", limit=len(ids), only=ids)
        except psycopg.Error as error:
            if not _is_caused_by_values(error):
                raise
            reason = f"the database refuses the stone: {error.diag.message_primary or error}"
        if len(ids) <= 1:
            return await self._transact(run, after="", limit=1, only=ids, quarantine=reason)
        half = len(ids) // 2
        first = await self._bisect(run, ids[:half])
        second = await self._bisect(run, ids[half:])
        return BatchOutcome(
            first.processed + second.processed,
            first.rejected + second.rejected,
            ids[-1],
            first.payload_bytes + second.payload_bytes,
        )

    async def _transact(self, run: Run, **batch: Any) -> BatchOutcome:
        async def work(conn: AsyncConnection[Any]) -> BatchOutcome:
            cursor = await conn.execute(QUERIES["run_state"], {"run_id": run.run_id})
            row = await cursor.fetchone()
            if row is None or row[0] != RunState.CONSOLIDATING:
                raise _RunOver(f"run {run.run_id} is {row[0] if row else 'gone'}")
            return await consolidate_batch(conn, run.run_id, run.feed, self._mappers[run.feed], **batch)

        started = self._clock.monotonic()
        with span("consolidate batch") as recorded:
            outcome = await run_in_transaction(self._pool, work)
            recorded.set({"stones": outcome.processed, "rejected": outcome.rejected})
        if outcome.last_id is not None:  # an empty batch writes nothing
            self._full_disk.note_room()
            _measure(run.feed, outcome, self._clock.monotonic() - started)
        return outcome

    async def _finalise(self, run: Run) -> None:
        """Remove what is gone, move the watermark, then the run's row: in this order, so that repeating is harmless."""
        lease = self._settings.lease_seconds
        async with self._pool.connection() as conn:
            token = await consolidating.take_finalisation(conn, run.run_id, lease_seconds=lease)
            if token is None:
                log.info(
                    "consolidation_shared", run_id=run.run_id, reason="others still hold stones of this run"
                )
                return
            # As it is now: whoever was slow may have joined it before a person retried what it lacked.
            run = await runs.get_run(conn, run.run_id)

        async def renew() -> None:
            async with self._pool.connection() as conn:
                await consolidating.renew_finalisation(conn, run.run_id, token, lease_seconds=lease)

        with span("finish run"):
            await keep_while(self._end(run, token), renew, lease_seconds=lease, clock=self._clock)

    async def _end(self, run: Run, token: UUID) -> None:
        if run.is_partial:
            await self._end_partial(run, token)
            return
        if run.run_type is RunType.FULL and not run.forced:
            removed = await remove_missing(
                self._pool,
                run.run_id,
                run.feed,
                self._sources.get(run.feed),
                self._alerts,
                guard_share=self._settings.guard_share,
            )
            self._outage.note_answer(run.feed)
            log.info("missing_removed", run_id=run.run_id, removed=removed)
        async with self._pool.connection() as conn:
            await consolidating.renew_finalisation(
                conn, run.run_id, token, lease_seconds=self._settings.lease_seconds
            )
        moved_to = await self._move_watermark(run)
        async with self._pool.connection() as conn:
            await consolidating.complete_run(conn, run.run_id, token, watermark_after=moved_to)
        log.info("run_completed", run_id=run.run_id, watermark_after=moved_to)

    async def _end_partial(self, run: Run, token: UUID) -> None:
        """Nothing is removed, for the stones of the failed ranges were not looked for, and the watermark stays."""
        async with self._pool.connection() as conn:
            error = await consolidating.end_partial(conn, run.run_id, token)
        log.warning("run_partial", run_id=run.run_id, reason=error)
        await tell_failures(self._pool, self._alerts, feed=run.feed)

    async def _move_watermark(self, run: Run) -> datetime | None:
        """To the run's planning time, never past a range that was not read, and not by a replay, which read none."""
        if run.forced or run.is_replay:
            return None
        async with self._pool.connection() as conn:
            now = await runs.database_time(conn)
        if run.updated_to > now:
            await self._alerts.raise_alert(_planned_ahead(run, now))
            return None
        present = await advance(
            self._watermarks,
            run.feed,
            Watermark(run.updated_to, str(run.run_id), self._clock.now()),
            read_from=run.watermark_before if run.updated_from is not None else None,
            instead_of=run.watermark_before if run.updated_from is None else None,
        )
        return present.last_updated_at if present else None

    async def _postpone(self, run: Run, error: Exception) -> None:
        """Try again later; what no retry can mend, or what failed too often, fails the run and alerts.

        A database that serves nobody, a watermark store and a supplier that answer nobody are waited for, however long
        it takes. A database that is away cannot even be told, and raises; the sweeper finds the run when it is back.
        """
        attempts = 1 if isinstance(error, Fatal) else self._settings.max_attempts
        waits_for_others = (
            is_outage(error)
            or isinstance(error, WatermarkUnavailable)
            or await self._outage.is_cause(error, self._sources.get(run.feed))
        )
        wished = error.retry_after_seconds if isinstance(error, Retryable) else None
        await self._full_disk.tell(error, run.run_id)
        async with self._pool.connection() as conn:
            state = await consolidating.postpone_consolidation(
                conn,
                run.run_id,
                error=f"consolidation: {error}",
                delay_seconds=max(wished or 0, self._settings.first_backoff_seconds),
                longest_delay_seconds=self._settings.longest_backoff_seconds,
                max_attempts=None if waits_for_others else attempts,
            )
        log.warning("consolidation_postponed", run_id=run.run_id, run_state=state, reason=str(error))
        if state is RunState.FAILED:
            await tell_failures(self._pool, self._alerts, feed=run.feed)


def _measure(feed: str, outcome: BatchOutcome, seconds: float) -> None:
    """What a batch has done, for whoever watches."""
    metrics.BATCH_SECONDS.labels(feed).observe(seconds)
    metrics.STONES_CONSOLIDATED.labels(feed).inc(outcome.processed)
    metrics.STONES_PRICED.labels(feed, "other").inc(outcome.by_rule)
    metrics.STONES_PRICED.labels(feed, "default").inc(outcome.priced - outcome.by_rule)
    for reason, stones in outcome.reasons.items():
        metrics.STONES_REJECTED.labels(feed, reason).inc(stones)


def _planned_ahead(run: Run, now: datetime) -> Alert:
    """The database's clock was set back since: up to which moment the run has read cannot be told."""
    return Alert(
        severity=Severity.WARNING,
        event="watermark_ahead",
        title=f"Run {run.run_id} was planned in the future; the watermark of {run.feed} stays",
        text=f"It was planned at {run.updated_to}, and the database's clock shows {now}. The next run reads from the "
        "watermark as it is.",
        run_id=str(run.run_id),
        cause="The clock of the database's server was set back.",
        action="Look at the server's clock: diamond doctor",
        page=f"/runs/{run.run_id}",
    )


def _is_caused_by_values(error: psycopg.Error) -> bool:
    return error.sqlstate is not None and error.sqlstate.startswith(_CAUSED_BY_VALUES)
