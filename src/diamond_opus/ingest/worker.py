"""A worker: wakes up on a message, leases the partition it names, reads it, and reports how that ended."""

import asyncio
import itertools
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.protocol import Alerts
from diamond_opus.db.errors import DatabaseUnavailable, is_outage, outages_are_retryable
from diamond_opus.db.pool import run_in_transaction
from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import DiamondError, Fatal, Retryable
from diamond_opus.domain.selection import Selection
from diamond_opus.failures import FullDisk, SupplierOutage, tell_failures
from diamond_opus.feeds.protocol import StoneSource
from diamond_opus.ingest.partition import PartitionReader
from diamond_opus.ingest.read_range import Batch, ReadingSettings
from diamond_opus.ingest.store import Stored, store_stones, store_unreadable
from diamond_opus.observability import metrics
from diamond_opus.observability.logging import bind, get_logger
from diamond_opus.observability.tracing import run_trace, span, within_run
from diamond_opus.queue.messages import Consolidate, WorkDone, WorkItem
from diamond_opus.queue.protocol import Queue, Received
from diamond_opus.runs import leases
from diamond_opus.runs import store as runs
from diamond_opus.runs.keeping import keep_while
from diamond_opus.runs.model import (
    ClaimedPartition,
    LeaseLost,
    PartitionState,
    Progress,
    RunState,
)
from diamond_opus.wakeups import send, wake_partitions

Result = TypeVar("Result")

log = get_logger("ingest")

_OWN_WAKES = 1_000_000

#: The longest wait between looks at whether an outage is over.
_OUTAGE_BACKOFF_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class AttemptSettings:
    """Lease and retries of a partition: first back-off doubled each time, up to the longest.

    ``enough_percent`` of a run's ranges are consolidated without the others; None waits for all.
    """

    lease_seconds: float = 120
    max_attempts: int = 5
    first_backoff_seconds: float = 2
    longest_backoff_seconds: float = 300
    enough_percent: float | None = None
    reading: ReadingSettings = field(default_factory=ReadingSettings)

    def backoff_seconds(self, failures: int) -> float:
        """Before the attempt after ``failures`` failed ones, counted from 1."""
        return min(self.longest_backoff_seconds, self.first_backoff_seconds * 2.0 ** (failures - 1))


class Worker:
    """Handles ``work-items``. One worker may handle several at once; each holds at most two connections."""

    def __init__(
        self,
        *,
        worker_id: UUID,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        sources: Mapping[str, StoneSource],
        work_done: Queue,
        consolidate: Queue,
        work_items: Queue,
        alerts: Alerts,
        clock: Clock,
        settings: AttemptSettings,
    ) -> None:
        self._worker_id = worker_id
        self._pool = pool
        self._sources = sources
        self._work_done = work_done
        self._consolidate = consolidate
        self._work_items = work_items
        self._alerts = alerts
        self._clock = clock
        self._settings = settings
        self._outage = SupplierOutage(alerts)
        self._full_disk = FullDisk(alerts, clock)
        self._claimed_at: dict[UUID, float] = {}  # by lease

    async def handle(self, message: Received) -> None:
        """One wake-up. Returns when there is nothing (more) to do here; raises nothing a retry of it could mend.

        A database that serves nobody is Retryable: the partition's row says the rest when it is back.
        """
        item = WorkItem.from_received(message)
        fields = {"run_id": str(item.run_id), "partition_id": item.partition_id}
        try:
            with within_run(item.trace_id), bind(**fields), outages_are_retryable("ingest"):
                await self._handle(item, message)
        except DatabaseUnavailable as error:
            await self._full_disk.tell(error, item.run_id)
            raise

    async def _handle(self, item: WorkItem, message: Received) -> None:
        source = self._sources.get(item.feed)
        if source is None:
            raise Fatal(
                f"ingest: this worker knows no feed {item.feed!r} (it has {', '.join(self._sources)})"
            )
        claimed = await self._claim(item, message)
        if claimed is None:
            log.info("partition_not_due", run_id=item.run_id, partition_id=item.partition_id)
            return
        log.info(
            "partition_started", run_id=item.run_id, partition_id=item.partition_id, attempt=claimed.attempt
        )
        names = {
            "diamond.run_id": item.run_id,
            "diamond.partition_id": item.partition_id,
            "attempt": claimed.attempt,
        }
        self._claimed_at[claimed.lease_token] = self._clock.monotonic()
        try:
            with span("partition attempt", attributes=names, links=[run_trace(item.trace_id)]) as attempt:
                error = await self._attempt(source, item, claimed)
                if error is not None:
                    attempt.fail(error)
        finally:
            self._claimed_at.pop(claimed.lease_token, None)

    async def _attempt(
        self, source: StoneSource, item: WorkItem, claimed: ClaimedPartition
    ) -> Exception | None:
        """Read it and say in the database how that ended; returns what kept it from its end, if anything did."""
        if claimed.failures >= self._settings.max_attempts:
            silent = Fatal("its workers stopped renewing their leases, again and again")
            await self._end_failed(item, claimed, str(silent), final=True)
            return silent
        try:
            await self._read(source, claimed)
        except LeaseLost as error:
            self._note_lost(claimed, error)
            return error
        except asyncio.CancelledError:
            await self._give_back(item, claimed)
            raise
        except Fatal as error:
            await self._end_failed(item, claimed, str(error), final=True)
            return error
        except Retryable as error:
            await self._end_retryable(source, item, claimed, error)
            return error
        except (DiamondError, psycopg.Error, OSError) as error:
            await self._full_disk.tell(error, claimed.run_id)
            await self._end_failed(item, claimed, str(error), counts=not is_outage(error))
            return error
        except Exception as error:
            # A fault of ours: told at once with its trace, and the partition fails by its attempts, not by silence.
            log.exception("partition_broken", partition_id=claimed.partition_id)
            await self._end_failed(item, claimed, f"{type(error).__name__}: {error}")
            return error
        self._outage.note_answer(source.name)
        await self._end(claimed, PartitionState.COMPLETED)
        return None

    async def _claim(self, item: WorkItem, message: Received) -> ClaimedPartition | None:
        """Stopping in the middle of a claim gives back what it got, instead of leaving the lease to run out."""

        async def claim() -> ClaimedPartition | None:
            async with self._pool.connection() as conn:
                return await leases.claim_partition(
                    conn,
                    item.run_id,
                    item.partition_id,
                    worker_id=self._worker_id,
                    lease_seconds=self._settings.lease_seconds,
                    payload=message.body,
                )

        claiming = asyncio.create_task(claim())
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            claimed = await claiming
            if claimed is not None:
                await self._give_back(item, claimed)
            raise

    async def _end_retryable(
        self, source: StoneSource, item: WorkItem, claimed: ClaimedPartition, error: Retryable
    ) -> None:
        """Counts against the partition unless nobody is answered: then nothing is wrong with it, and it waits."""
        try:
            counts = not is_outage(error) and not await self._keep_while(
                claimed, self._outage.is_cause(error, source)
            )
        except LeaseLost as lost:
            self._note_lost(claimed, lost)
            return
        await self._full_disk.tell(error, claimed.run_id)
        await self._end_failed(item, claimed, str(error), counts=counts, wait=error.retry_after_seconds)

    async def _read(self, source: StoneSource, claimed: ClaimedPartition) -> None:
        numbers = itertools.count(claimed.commits)

        async def commit(selection: Selection, batch: Batch, progress: Progress) -> None:
            await self._commit(claimed, next(numbers), selection, batch, progress)

        reader = PartitionReader(source, claimed, self._settings.reading, clock=self._clock, commit=commit)
        await self._keep_while(claimed, reader.read())

    async def _keep_while(self, claimed: ClaimedPartition, work: Coroutine[Any, Any, Result]) -> Result:
        """Do it with the lease renewed beside it; losing the lease ends it."""

        async def renew() -> None:
            async with self._pool.connection() as conn:
                await leases.renew_partition(conn, claimed, lease_seconds=self._settings.lease_seconds)

        return await keep_while(work, renew, lease_seconds=self._settings.lease_seconds, clock=self._clock)

    async def _commit(
        self, claimed: ClaimedPartition, number: int, asked: Selection, batch: Batch, progress: Progress
    ) -> None:
        """Raw rows, cursor, lease: one transaction, and the fence first, so that a stranger's lease writes nothing."""

        async def work(conn: AsyncConnection[Any]) -> Stored | None:
            is_new = await leases.advance_partition(
                conn, claimed, progress, number=number, lease_seconds=self._settings.lease_seconds
            )
            if not is_new:
                return None
            stored = await store_stones(conn, claimed.feed, claimed.run_id, asked, batch.stones)
            refused = [
                (f"{claimed.run_id}:{claimed.partition_id}:refused:{sha256(row.payload).hexdigest()}", row)
                for row in stored.refused
            ]
            await store_unreadable(conn, claimed.feed, claimed.run_id, [*batch.unreadable, *refused])
            if stored.unchanged or refused:
                await leases.note_stored(conn, claimed, unchanged=stored.unchanged, unreadable=len(refused))
            return stored

        stored = await run_in_transaction(self._pool, work)
        self._full_disk.note_room()
        if stored is not None:
            _count(claimed.feed, batch, stored)

    async def _end_failed(
        self,
        item: WorkItem,
        claimed: ClaimedPartition,
        error: str,
        *,
        final: bool = False,
        counts: bool = True,
        wait: float | None = None,
    ) -> None:
        """Try again after a back-off, or give up: at once when ``final``, else after too many in a row that count."""
        try:
            async with self._pool.connection() as conn:
                failures = 1 + await leases.count_failures(conn, claimed)
        except LeaseLost as lost:
            self._note_lost(claimed, lost)
            return
        if final or (counts and failures >= self._settings.max_attempts):
            await self._end(claimed, PartitionState.FAILED, error=error)
            return
        backoff = self._settings.backoff_seconds(failures)
        delay = max(wait or 0, backoff if counts else min(backoff, _OUTAGE_BACKOFF_SECONDS))
        await self._end(
            claimed, PartitionState.PENDING, error=error, counts_as_failure=counts, delay_seconds=delay
        )
        log.warning("partition_postponed", partition_id=claimed.partition_id, seconds=delay, reason=error)
        await self._wake_again(item, claimed, delay_seconds=delay)

    async def _give_back(self, item: WorkItem, claimed: ClaimedPartition) -> None:
        """The process is stopping: the next worker goes on at the cursor, at once."""
        with suppress(LeaseLost):
            await self._end(claimed, PartitionState.PENDING, error="given back: its worker was stopping")
            await self._wake_again(item, claimed)

    async def _wake_again(
        self, item: WorkItem, claimed: ClaimedPartition, *, delay_seconds: float = 0
    ) -> None:
        """Numbered by attempt from far above: the sweeper numbers its own wakes of a partition from 1."""
        again = item.to_message(wakes=_OWN_WAKES + claimed.attempt)
        await send(self._work_items, [again], delay_seconds=delay_seconds)

    async def _end(
        self,
        claimed: ClaimedPartition,
        state: PartitionState,
        *,
        error: str | None = None,
        counts_as_failure: bool = False,
        delay_seconds: float = 0,
    ) -> None:
        async def work(conn: AsyncConnection[Any]) -> RunState:
            return await leases.leave_partition(
                conn,
                claimed,
                state=state,
                error=error,
                counts_as_failure=counts_as_failure,
                delay_seconds=delay_seconds,
                enough_percent=self._settings.enough_percent,
            )

        try:
            run_state = await run_in_transaction(self._pool, work)
        except LeaseLost as lost:
            self._note_lost(claimed, lost)
            return
        log.info("partition_ended", partition_id=claimed.partition_id, state=state, run_state=run_state)
        if state is not PartitionState.PENDING:
            self._measure(claimed, state)
            await self._report(claimed, state, error, run_state)
        else:
            self._measure(claimed, "postponed" if delay_seconds else "given_back")

    def _note_lost(self, claimed: ClaimedPartition, error: LeaseLost) -> None:
        log.warning("lease_lost", partition_id=claimed.partition_id, reason=str(error))
        self._measure(claimed, "lease_lost")

    def _measure(self, claimed: ClaimedPartition, outcome: str) -> None:
        """How long we had it. Not again for what we have left already, whose lease a late answer may find gone."""
        claimed_at = self._claimed_at.pop(claimed.lease_token, None)
        if claimed_at is not None:
            seconds = self._clock.monotonic() - claimed_at
            metrics.PARTITION_SECONDS.labels(claimed.feed, outcome).observe(seconds)

    async def _wake_catch_up(self, claimed: ClaimedPartition) -> None:
        async with self._pool.connection() as conn:
            due = await runs.take_catch_up(conn, claimed.run_id)
        await wake_partitions(self._work_items, due)

    async def _report(
        self, claimed: ClaimedPartition, state: PartitionState, error: str | None, run_state: RunState
    ) -> None:
        """Wake whoever comes next; the database already knows, so a lost message costs only time."""
        done = WorkDone(
            run_id=claimed.run_id,
            trace_id=claimed.trace_id,
            feed=claimed.feed,
            worker_id=str(self._worker_id),
            partition_id=claimed.partition_id,
            records_processed=0,
            status="success" if state is PartitionState.COMPLETED else "failed",
            error=error,
        )
        await send(self._work_done, [done.to_message(attempt=claimed.attempt)])
        if run_state is RunState.INGESTING:
            await self._wake_catch_up(claimed)
        if run_state is RunState.INGESTED:
            wake = Consolidate(run_id=claimed.run_id, trace_id=claimed.trace_id, feed=claimed.feed)
            await send(self._consolidate, [wake.to_message(wakes=0)])
        if run_state is RunState.FAILED:
            await tell_failures(self._pool, self._alerts, feed=claimed.feed)


def _count(feed: str, batch: Batch, stored: Stored) -> None:
    """What a commit has added, for whoever watches."""
    refused = len(stored.refused)
    metrics.PAGES_READ.labels(feed).inc(batch.pages)
    metrics.STONES_READ.labels(feed).inc(batch.first_seen)
    metrics.RAW_ROWS.labels(feed, "written").inc(len(batch.stones) - stored.unchanged - refused)
    metrics.RAW_ROWS.labels(feed, "unchanged").inc(stored.unchanged)
    if batch.unreadable or refused:
        metrics.UNREADABLE.labels(feed).inc(len(batch.unreadable) + refused)
