"""Which concrete part stands behind each protocol: the only module that names feeds, queues and stores."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from uuid import UUID, uuid4

from diamond_opus import azure
from diamond_opus.alerts.channels import Channel
from diamond_opus.alerts.deliver import DUTY, DUTY_LEASE_SECONDS, Deliverer
from diamond_opus.alerts.protocol import Alerts
from diamond_opus.alerts.raised import IncidentAlerts
from diamond_opus.consolidate.consolidator import Consolidator
from diamond_opus.consolidate.tuning import Choice
from diamond_opus.db.embedded import EmbeddedPostgres
from diamond_opus.db.migrate import migrate
from diamond_opus.db.pool import Pool, connect, open_pool
from diamond_opus.domain.clock import Clock, SystemClock
from diamond_opus.domain.errors import DiamondError
from diamond_opus.domain.tasks import end
from diamond_opus.feeds.budget import PostgresBudget, RequestBudget, UnlimitedBudget, account_key
from diamond_opus.feeds.health import SupplierHealth
from diamond_opus.feeds.nivoda import (
    NivodaClient,
    NivodaMapper,
    NivodaTrading,
    validate_filter,
)
from diamond_opus.feeds.protocol import StoneMapper, StoneSource
from diamond_opus.feeds.trading import Trader
from diamond_opus.ingest.worker import Worker
from diamond_opus.maintain.caretaker import Caretaker
from diamond_opus.maintain.housekeeper import Housekeeper
from diamond_opus.maintain.tasks import TASKS, House
from diamond_opus.monitoring.gauges import Gauges
from diamond_opus.monitoring.look import Lookout
from diamond_opus.monitoring.watch import IncidentWatch
from diamond_opus.observability import metrics
from diamond_opus.observability.logging import get_logger
from diamond_opus.queue.consumer import consume
from diamond_opus.queue.limits import LIMITS
from diamond_opus.queue.memory import MemoryQueue
from diamond_opus.queue.pgmq_schema import PGMQ_STEP
from diamond_opus.queue.postgres import PostgresQueue
from diamond_opus.queue.protocol import CONSOLIDATE, QUEUES, WORK_DONE, WORK_ITEMS, Queue
from diamond_opus.room_settings import (
    alert_channels,
    attempt_settings,
    consolidation_settings,
    incident_limits,
    planning_settings,
    retention,
    supplier_account,
)
from diamond_opus.runs import store as runs
from diamond_opus.runs.model import RunType
from diamond_opus.schedule.container_apps_job import ContainerAppsJob
from diamond_opus.schedule.count_density import OnCount
from diamond_opus.schedule.plan_run import plan_run
from diamond_opus.schedule.sweep import Sweeper
from diamond_opus.settings import Settings
from diamond_opus.trade.desk import Desk
from diamond_opus.trade.evidence import Patience
from diamond_opus.trade.watch import TradeWatch, WatchSettings
from diamond_opus.watermark.postgres import PostgresWatermarkStore
from diamond_opus.watermark.protocol import WatermarkStore

#: The feed of this release; a second one is registered in `_open_source` and `mappers`.
NIVODA = "nivoda"
FEEDS = (NIVODA,)

#: Steps that complete the schema after our own migrations.
MIGRATION_STEPS = (PGMQ_STEP,)

#: How often the embedded server's log is looked at, which takes no time.
LOG_LOOK_SECONDS = 30.0

log = get_logger("wiring")


def mappers() -> Mapping[str, StoneMapper]:
    return {NIVODA: NivodaMapper()}


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[str]:
    """The connection string of the configured server, or of the embedded one, which is started if need be.

    An embedded server that this process started is stopped at the end; one that ran already is left running.
    """
    if settings.server_url is not None:
        yield settings.server_url
        return
    server = await asyncio.to_thread(start_embedded, settings)
    tending = asyncio.create_task(_tend_log(server))
    try:
        yield server.url
    finally:
        await end(tending)
        if server.started_here:
            await asyncio.to_thread(server.stop)


async def _tend_log(server: EmbeddedPostgres) -> None:
    """Until it is cancelled; nobody else looks after the log of an embedded server."""
    while True:
        await asyncio.sleep(LOG_LOOK_SECONDS)
        try:
            await asyncio.to_thread(server.cut_log)
        except (DiamondError, OSError) as error:
            log.warning("server_log_not_cut", log=str(server.log), reason=str(error))


def start_embedded(settings: Settings) -> EmbeddedPostgres:
    """Start the embedded server, or attach to the one that runs in DIAMOND_HOME; blocks for some seconds."""
    return EmbeddedPostgres.start(
        settings.diamond_home,
        port=settings.diamond_postgres_port,
        bin_folder=settings.diamond_postgres_bin,
    )


async def migrate_database(url: str) -> None:
    """Bring the schema up to date; several processes may do it at once."""
    conn = await connect(url, application_name="diamond migrate")
    async with conn:
        await migrate(conn, steps=MIGRATION_STEPS)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The parts of one process that plans, reads, consolidates or trades."""

    settings: Settings
    pool: Pool
    sources: Mapping[str, StoneSource]
    mappers: Mapping[str, StoneMapper]
    queues: Mapping[str, Queue]
    watermarks: WatermarkStore
    alerts: Alerts
    clock: Clock
    process_id: UUID
    traders: Mapping[str, Trader] = field(default_factory=dict)
    scheduler_job: ContainerAppsJob | None = None
    channels: Sequence[Channel] = ()
    gauges: Gauges | None = None

    async def plan_run(
        self,
        feed: str,
        run_type: RunType | None,
        *,
        on_count: OnCount | None = None,
        run_id: UUID | None = None,
    ) -> UUID:
        """Plan a new run and wake its workers. Raises RunRefused while the feed has an active one."""
        return await plan_run(
            pool=self.pool,
            source=self.sources[feed],
            watermarks=self.watermarks,
            work_items=self.queues[WORK_ITEMS],
            consolidate=self.queues[CONSOLIDATE],
            alerts=self.alerts,
            run_type=run_type,
            settings=planning_settings(self.settings),
            on_count=on_count,
            run_id=run_id,
        )

    def worker(self) -> Worker:
        return Worker(
            worker_id=self.process_id,
            pool=self.pool,
            sources=self.sources,
            work_items=self.queues[WORK_ITEMS],
            work_done=self.queues[WORK_DONE],
            consolidate=self.queues[CONSOLIDATE],
            alerts=self.alerts,
            clock=self.clock,
            settings=attempt_settings(self.settings),
        )

    def consolidator(self) -> Consolidator:
        return Consolidator(
            pool=self.pool,
            mappers=self.mappers,
            sources=self.sources,
            watermarks=self.watermarks,
            alerts=self.alerts,
            clock=self.clock,
            settings=consolidation_settings(self.settings),
            on_choice=_show_choice,
        )

    def sweeper(
        self, *, feed: str | None = None, alone: bool = False, seconds: float | None = None
    ) -> Sweeper:
        return Sweeper(
            pool=self.pool,
            work_items=self.queues[WORK_ITEMS],
            consolidate=self.queues[CONSOLIDATE],
            alerts=self.alerts,
            holder=self.process_id,
            clock=self.clock,
            seconds=seconds or self.settings.sweep_seconds,
            longest_standstill_seconds=self.settings.pg_idle_transaction_timeout_ms / 1000,
            feed=feed,
            alone=alone,
        )

    def deliverer(self) -> Deliverer:
        """What tells the channels; without any it waits."""
        return Deliverer(
            self.pool,
            self.channels,
            take_duty=partial(
                runs.take_duty, duty=DUTY, holder=self.process_id, lease_seconds=DUTY_LEASE_SECONDS
            ),
            clock=self.clock,
            public_url=self.settings.public_url,
        )

    def incident_watch(self) -> IncidentWatch:
        """What finds trouble by looking, and ends incidents that are over."""
        lookout = Lookout(self.pool, self.queues, incident_limits(self.settings), tuple(self.mappers))
        return IncidentWatch(
            pool=self.pool, lookout=lookout, alerts=self.alerts, holder=self.process_id, clock=self.clock
        )

    def desk(self, pool: Pool | None = None) -> Desk:
        """Where holds and orders are made, on the connections given or on this process's own."""
        return Desk(
            pool or self.pool,
            self.traders,
            self.mappers,
            self.alerts,
            lease_seconds=self.settings.trade_lease_seconds,
            renew_seconds=self.settings.trade_lease_seconds / 4,
            statement_timeout_ms=self.settings.api_statement_timeout_ms,
        )

    def trade_watch(self) -> TradeWatch:
        # Before a free stone proves anything, the request that was lost must have ended, however slow it was.
        settle = max(150.0, 2 * self.settings.nivoda_request_timeout_ms / 1000 + 60)
        settings = WatchSettings(
            seconds=self.settings.trade_watch_seconds, patience=Patience(settle=timedelta(seconds=settle))
        )
        return TradeWatch(self.desk(), holder=self.process_id, clock=self.clock, settings=settings)

    def housekeeper(self, stop: asyncio.Event | None = None) -> Housekeeper:
        house = House(self.pool, self.watermarks, self.queues, FEEDS)
        return Housekeeper(house, self.clock, retention(self.settings), stop or asyncio.Event())

    def caretaker(self) -> Caretaker:
        return Caretaker(self.housekeeper(), cron=self.settings.maintain_cron, holder=self.process_id)

    async def consume_work(self, stop: asyncio.Event, *, until_idle: bool = False) -> None:
        await consume(
            self.queues[WORK_ITEMS],
            self.worker().handle,
            stop=stop,
            concurrency=self.settings.worker_concurrency,
            until_idle=until_idle,
            clock=self.clock,
        )

    async def consume_consolidation(self, stop: asyncio.Event, *, until_idle: bool = False) -> None:
        """Both queues that may make a run ready, side by side."""
        consolidator = self.consolidator()
        handlers = {
            CONSOLIDATE: consolidator.handle_consolidate,
            WORK_DONE: consolidator.handle_work_done,
        }
        await asyncio.gather(
            *(
                consume(self.queues[name], handler, stop=stop, until_idle=until_idle, clock=self.clock)
                for name, handler in handlers.items()
            )
        )


def _show_choice(_feed: str, choice: Choice) -> None:
    metrics.CONSOLIDATOR_BATCH_SIZE.set(choice.batch_size)
    metrics.CONSOLIDATOR_CONCURRENCY.set(choice.concurrency)


def pool_of(settings: Settings, url: str, *, application_name: str, max_size: int) -> Pool:
    """A pool with the settings' time-outs, to be entered with ``async with``; metrics tell of it."""
    pool = open_pool(
        url,
        application_name=application_name,
        max_size=max_size,
        idle_timeout_seconds=settings.pg_idle_timeout_ms / 1000,
        connect_timeout_seconds=settings.pg_conn_timeout_ms / 1000,
        answer_timeout_seconds=settings.pg_answer_timeout_ms / 1000,
        idle_transaction_seconds=settings.pg_idle_transaction_timeout_ms / 1000,
    )
    metrics.watch_pool(pool)
    return pool


@asynccontextmanager
async def open_pipeline(
    settings: Settings,
    url: str,
    *,
    service: str,
    own_queues: bool = False,
    needs_source: bool = True,
    least_connections: int = 1,
    unlimited: bool | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Pipeline]:
    """Wire a process. ``own_queues`` keeps the wake-ups in its memory, for one that does everything itself.

    ``unlimited`` lifts the request budget, for tests; by default only the simulator is exempt, and only while
    NIVODA_MAX_REQUESTS_PER_SECOND is not set.
    """
    clock = clock or SystemClock()
    metrics.begin(service, version("diamond-opus"), FEEDS)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            pool_of(
                settings,
                url,
                application_name=f"diamond {service}",
                max_size=max(settings.pg_pool_max, least_connections),
            )
        )
        sources: dict[str, StoneSource] = {}
        traders: dict[str, Trader] = {}
        if needs_source:
            budget = _budget(settings, pool, clock, unlimited=unlimited)
            health = await stack.enter_async_context(SupplierHealth(pool, NIVODA, clock))
            nivoda = await stack.enter_async_context(_open_source(settings, budget, health, clock))
            sources[NIVODA], traders[NIVODA] = nivoda, NivodaTrading(nivoda.connection)
        job: ContainerAppsJob | None = None
        if settings.azure_scheduler_job_name is not None:
            job = await stack.enter_async_context(azure.open_scheduler_job(settings))
        channels = alert_channels(settings)
        alerts = IncidentAlerts(
            pool, service=service, clock=clock, channels=channels, public_url=settings.public_url
        )
        stack.push_async_callback(alerts.close)
        yield Pipeline(
            settings=settings,
            pool=pool,
            sources=sources,
            traders=traders,
            mappers=mappers(),
            queues=await stack.enter_async_context(_open_queues(settings, pool, clock, own=own_queues)),
            watermarks=await stack.enter_async_context(_open_watermarks(settings, pool)),
            alerts=alerts,
            channels=channels,
            clock=clock,
            process_id=uuid4(),
            scheduler_job=job,
            gauges=Gauges(
                pool,
                clock,
                feeds=FEEDS,
                tasks=[task.name for task in TASKS],
                queues=() if own_queues or settings.uses_service_bus else QUEUES,
            ),
        )


@asynccontextmanager
async def open_unlimited_sources(settings: Settings) -> AsyncIterator[Mapping[str, StoneSource]]:
    """The suppliers as a process without a database asks them: in no budget, and nobody notes how they answer.

    Only for the simulator, which nobody can ask too often.
    """
    async with _open_source(settings, UnlimitedBudget(), None, SystemClock()) as nivoda:
        yield {NIVODA: nivoda}


@asynccontextmanager
async def _open_queues(
    settings: Settings, pool: Pool, clock: Clock, *, own: bool
) -> AsyncIterator[Mapping[str, Queue]]:
    if own:
        yield {name: MemoryQueue(name, LIMITS[name], clock=clock) for name in QUEUES}
    elif settings.uses_service_bus:
        async with azure.open_queues(settings, QUEUES, clock) as queues:
            yield queues
    else:
        yield {name: PostgresQueue(pool, name, LIMITS[name], clock=clock) for name in QUEUES}


@asynccontextmanager
async def _open_watermarks(settings: Settings, pool: Pool) -> AsyncIterator[WatermarkStore]:
    if settings.uses_blob_storage:
        async with azure.open_watermarks(settings) as watermarks:
            yield watermarks
    else:
        yield PostgresWatermarkStore(pool)


def _open_source(
    settings: Settings, budget: RequestBudget, health: SupplierHealth | None, clock: Clock
) -> NivodaClient:
    base_filter = validate_filter(settings.nivoda_filter) if settings.nivoda_filter else None
    return NivodaClient(
        supplier_account(settings), budget=budget, clock=clock, base_filter=base_filter, health=health
    )


def _budget(settings: Settings, pool: Pool, clock: Clock, *, unlimited: bool | None) -> RequestBudget:
    asked_for = settings.nivoda_max_requests_per_second
    if unlimited is None:
        unlimited = settings.supplier_is_simulator
    if unlimited and asked_for is None:
        return UnlimitedBudget()
    account = supplier_account(settings)
    fastest = asked_for or 25.0
    return PostgresBudget(
        pool,
        account_key(account.endpoint, account.username),
        clock,
        max_per_second=fastest,
        start_per_second=min(2.0, fastest),
    )
