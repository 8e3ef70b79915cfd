"""A whole pipeline for tests: a scripted supplier, real PostgreSQL, messages delivered by hand.

``World`` is for tests of a precise order of events; ``simulated_pipeline`` runs the product's own loops against
the simulator.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from diamond_opus.alerts.protocol import Alert, Alerts
from diamond_opus.cli.drive import drive, plan
from diamond_opus.cli.follow import SilentView
from diamond_opus.domain.clock import SystemClock
from diamond_opus.feeds.protocol import StoneSource
from diamond_opus.queue.limits import LIMITS
from diamond_opus.queue.memory import MemoryQueue
from diamond_opus.queue.messages import Consolidate, WorkItem
from diamond_opus.queue.protocol import CONSOLIDATE, QUEUES, WORK_DONE, WORK_ITEMS, Message, Queue, Received
from diamond_opus.runs import store
from diamond_opus.runs.model import Partition, Run, RunState, RunType
from diamond_opus.settings import load_settings
from diamond_opus.simulator.server import Simulator
from diamond_opus.watermark.postgres import PostgresWatermarkStore
from diamond_opus.watermark.protocol import WatermarkStore
from diamond_opus.wiring import Pipeline, mappers, open_pipeline
from pipeline_supplier import FEED, ScriptedSupplier

Pool = AsyncConnectionPool[AsyncConnection[Any]]


class RecordedAlerts:
    """``Alerts`` that keeps them, and hands them on where a test says so."""

    def __init__(self) -> None:
        self.raised: list[Alert] = []
        self.hand_on_to: Alerts | None = None

    async def raise_alert(self, alert: Alert) -> None:
        self.raised.append(alert)
        if self.hand_on_to is not None:
            await self.hand_on_to.raise_alert(alert)

    @property
    def events(self) -> list[str]:
        return [alert.event for alert in self.raised]


class World:
    """A database, a scripted supplier and the pipeline between them; nothing happens unless a test says so.

    ``settings`` are those of the product. The queues are in memory, so that a test may lose, double and shuffle
    messages; the back-off is a hundredth of a second.
    """

    def __init__(
        self,
        pool: Pool,
        supplier: ScriptedSupplier | None = None,
        *,
        watermarks: WatermarkStore | None = None,
        **settings: Any,
    ) -> None:
        self.pool = pool
        self.supplier = supplier or ScriptedSupplier()
        self.alerts = RecordedAlerts()
        self.queues: Mapping[str, Queue] = {name: MemoryQueue(name, LIMITS[name]) for name in QUEUES}
        self.watermarks = watermarks or PostgresWatermarkStore(pool)
        self._settings = load_settings(**{"retry_first_backoff_seconds": 0.01, **settings})
        self.process = self.another_process()

    def another_process(self, **settings: Any) -> Pipeline:
        """One more worker or consolidator: the same queues and database, an identity of its own."""
        sources: Mapping[str, StoneSource] = {FEED: self.supplier}
        return Pipeline(
            settings=self._settings.model_copy(update=settings),
            pool=self.pool,
            sources=sources,
            mappers=mappers(),
            queues=self.queues,
            watermarks=self.watermarks,
            alerts=self.alerts,
            clock=SystemClock(),
            process_id=uuid4(),
        )

    async def plan(self, run_type: RunType | None = RunType.FULL) -> Run:
        return await plan(self.process, FEED, run_type, SilentView())

    async def work(self, process: Pipeline | None = None) -> None:
        """Deliver the work items that are visible, until there are none."""
        handler = (process or self.process).worker().handle
        while await self.deliver(WORK_ITEMS, handler):
            pass

    async def consolidate(self, process: Pipeline | None = None) -> None:
        consolidator = (process or self.process).consolidator()
        while await self.deliver(WORK_DONE, consolidator.handle_work_done) + await self.deliver(
            CONSOLIDATE, consolidator.handle_consolidate
        ):
            pass

    @asynccontextmanager
    async def full_disk(self, table: str, statement: str = "INSERT") -> AsyncIterator[None]:
        """As long as this goes on there is no room for one row more in this table."""
        await self.rows(
            "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$"
        )
        await self.rows(
            f"CREATE TRIGGER no_room BEFORE {statement} ON {table} FOR EACH ROW EXECUTE FUNCTION no_room()"
        )
        try:
            yield
        finally:
            await self.rows(f"DROP TRIGGER no_room ON {table}")

    async def deliver(self, queue_name: str, handler: Callable[[Received], Awaitable[None]]) -> int:
        queue = self.queues[queue_name]
        messages = await queue.receive(1000, wait_seconds=0)
        for message in messages:
            await handler(message)
            await queue.complete(message)
        return len(messages)

    async def lose_messages(self) -> int:
        """Every message under way is gone."""
        return sum([await self.deliver(name, _ignore) for name in QUEUES])

    async def sweep(self, *, seconds: float = 0.001) -> int:
        return await self.process.sweeper(alone=True, seconds=seconds).sweep()

    async def run(self, run_type: RunType | None = RunType.FULL) -> Run:
        """A whole run, to its end."""
        return await self.finish((await self.plan(run_type)).run_id)

    async def finish(self, run_id: UUID) -> Run:
        for _ in range(200):
            await self.work()
            await self.consolidate()
            run = await self.get_run(run_id)
            if run.state.is_over:
                return run
            await asyncio.sleep(0.005)
            await self.sweep()
        raise AssertionError(f"the run does not end: {run}, {await self.partitions(run_id)}")

    async def read_run(self, run_type: RunType | None = RunType.FULL) -> Run:
        """A run that is read and waits for consolidation; nobody was told."""
        run = await self.plan(run_type)
        for _ in range(200):
            await self.work()
            await asyncio.sleep(0.001)
            await self.sweep()
            if (await self.get_run(run.run_id)).state is RunState.INGESTED:
                await self.lose_messages()
                return await self.get_run(run.run_id)
        raise AssertionError(f"the run is not read: {await self.partitions(run.run_id)}")

    async def consolidate_and_cancel(self, run_id: UUID) -> None:
        """A consolidator does its first batch, and finds the run cancelled when it begins the second."""
        async with self.pool.connection() as conn, conn.transaction():
            # What every batch writes last is held, so the first one cannot commit before the run is cancelled.
            await conn.execute(b"LOCK TABLE dataset_versions")
            consolidating = asyncio.create_task(self.process.consolidator().consolidate(run_id))
            await self.somebody_waits_for_a_lock()
            await self.rows("UPDATE run_metadata SET state = 'cancelled' WHERE run_id = %s", run_id)
        await consolidating

    async def somebody_waits_for_a_lock(self) -> None:
        """Return when a session of this test's database stands before a lock."""
        for _ in range(1000):
            if await self.value(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            ):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody waits for a lock")

    async def get_run(self, run_id: UUID) -> Run:
        async with self.pool.connection() as conn:
            return await store.get_run(conn, run_id)

    async def partitions(self, run_id: UUID) -> dict[str, Partition]:
        async with self.pool.connection() as conn:
            return {p.partition_id: p for p in await store.list_partitions(conn, run_id)}

    async def rows(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        async with self.pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def row(self, statement: str, *parameters: Any) -> dict[str, Any]:
        [row] = await self.rows(statement, *parameters)
        return row

    async def value(self, statement: str, *parameters: Any) -> Any:
        [value] = (await self.row(statement, *parameters)).values()
        return value

    async def diamond(self, stone_id: str) -> dict[str, Any]:
        return await self.row("SELECT *, xmin FROM diamonds WHERE supplier_stone_id = %s", stone_id)

    async def active_ids(self) -> set[str]:
        rows = await self.rows("SELECT supplier_stone_id AS id FROM diamonds WHERE status = 'active'")
        return {row["id"] for row in rows}

    async def watermark(self) -> datetime | None:
        found = await self.watermarks.read(FEED)
        return found.last_updated_at if found else None

    async def expire_lease(self, run_id: UUID, partition_id: str) -> None:
        """As if the holder had been silent for longer than its lease."""
        await self.rows(
            "UPDATE partition_progress SET lease_expires_at = clock_timestamp()"
            " WHERE run_id = %s AND partition_id = %s",
            run_id,
            partition_id,
        )


async def _ignore(message: Received) -> None: ...


def received(message: Message) -> Received:
    """A message as a handler gets it."""
    return Received(message.id, message.body, message.properties, 0, datetime.now(UTC), None)


def work_item(run: Run, partition_id: str) -> Received:
    item = WorkItem(
        run_id=run.run_id,
        trace_id=run.trace_id,
        feed=run.feed,
        partition_id=partition_id,
        lab_grown=False,
        min_price=0,
        max_price=None,
        total_records=0,
        updated_to=run.updated_to,
    )
    return received(item.to_message(wakes=1))


def consolidate_message(run: Run, *, force: bool = False) -> Received:
    wake = Consolidate(run_id=run.run_id, trace_id=run.trace_id, feed=run.feed, force=force)
    return received(wake.to_message(wakes=1))


@asynccontextmanager
async def simulated_pipeline(url: str, simulator: Simulator, **settings: Any) -> AsyncIterator[Pipeline]:
    """The product's own wiring on the simulator, without a request budget, its alerts recorded."""
    configured = load_settings(
        **{
            "nivoda_endpoint": simulator.url,
            "nivoda_username": simulator.supplier.settings.username,
            "nivoda_password": simulator.supplier.settings.password,
            "retry_first_backoff_seconds": 0.01,
            "retry_longest_backoff_seconds": 0.2,
            **settings,
        }
    )
    async with open_pipeline(
        configured, url, service="test", own_queues=True, least_connections=6, unlimited=True
    ) as pipeline:
        yield replace(pipeline, alerts=RecordedAlerts())


async def run_to_end(pipeline: Pipeline, run_type: RunType | None = None) -> Run:
    return await drive(pipeline, FEED, run_type, SilentView(), asyncio.Event())
