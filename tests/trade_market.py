"""A market for tests of trade: the simulated supplier, its stones in the catalogue, and an API with clients."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID, uuid4

import httpx2
import pytest
from api_support import Api, open_api
from psycopg.rows import dict_row

from diamond_opus.cli.drive import plan
from diamond_opus.cli.follow import SilentView
from diamond_opus.domain.clock import ManualClock, SystemClock
from diamond_opus.feeds.nivoda import NivodaTrading
from diamond_opus.keys.signatures import HmacClient
from diamond_opus.queue.protocol import CONSOLIDATE, WORK_DONE, WORK_ITEMS
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.runs.store import get_run
from diamond_opus.simulator.faults import Fault
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from diamond_opus.trade.watch import TradeWatch, WatchSettings
from diamond_opus.wiring import Pipeline
from pipeline_builders import Pool, RecordedAlerts, simulated_pipeline
from pipeline_supplier import FEED

V2 = "/api/v2"

#: No stone is odd, no page short: each test adds what it is about.
CALM = SimulatorSettings(stones=40, seed=3, hostile_share=0.0, short_page_rate=0.0, unstable_ties=False)

#: A few counts are enough to plan so few stones.
_COARSE = {"heatmap_dense_zone_threshold": 1, "heatmap_dense_zone_step": 50_000}


@dataclass(frozen=True, slots=True)
class Client:
    """One caller of the API, by what it may do."""

    api: Api
    headers: dict[str, str]

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> httpx2.Response:
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        if body is None:
            return await self.api.client.post(V2 + path, headers=headers)
        headers["Content-Type"] = "application/json"
        return await self.api.client.post(V2 + path, content=json.dumps(body), headers=headers)

    async def get(self, path: str) -> httpx2.Response:
        return await self.api.client.get(V2 + path, headers=self.headers)

    async def delete(self, path: str) -> httpx2.Response:
        return await self.api.client.delete(V2 + path, headers=self.headers)

    async def buy(self, stone: UUID, key: str = "key-1", **body: Any) -> httpx2.Response:
        return await self.post(f"/diamonds/{stone}/purchase", body, key=key)

    async def hold(self, stone: UUID) -> httpx2.Response:
        return await self.post(f"/diamonds/{stone}/hold")


@dataclass(frozen=True, slots=True)
class Market:
    pool: Pool
    simulator: Simulator
    pipeline: Pipeline
    api: Api
    _shown: set[UUID] = field(default_factory=set)

    async def client(self, *permissions: str) -> Client:
        return Client(self.api, await self.api.key(*(permissions or ("trade",))))

    @property
    def alerts(self) -> RecordedAlerts:
        return cast("RecordedAlerts", self.pipeline.alerts)

    @property
    def orders(self) -> Sequence[Any]:
        """Every order that the supplier ever took."""
        return list(self.simulator.supplier.trade.book.orders.values())

    @property
    def holds(self) -> Sequence[Any]:
        return list(self.simulator.supplier.trade.book.holds.values())

    def befall(self, kind: str, *requests: str, **more: Any) -> None:
        """From now on, this fault for requests of these kinds."""
        self.simulator.set_faults([Fault(cast("Any", kind), requests=requests, **more)])

    def recover(self) -> None:
        self.simulator.set_faults([])

    async def stone(self) -> UUID:
        """A stone that can be had and that no other call got."""
        rows = await self.rows("SELECT id FROM diamonds WHERE availability = 'available' ORDER BY id")
        stone: UUID = next(row["id"] for row in rows if row["id"] not in self._shown)
        self._shown.add(stone)
        return stone

    async def supplier_id(self, stone: UUID) -> str:
        return cast("str", (await self.diamond(stone))["supplier_stone_id"])

    async def diamond(self, stone: UUID) -> dict[str, Any]:
        return await self.row("SELECT * FROM diamonds WHERE id = %s", stone)

    async def availability(self, stone: UUID) -> str:
        return cast("str", (await self.diamond(stone))["availability"])

    async def rows(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        async with self.pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def row(self, statement: str, *parameters: Any) -> dict[str, Any]:
        [row] = await self.rows(statement, *parameters)
        return row

    async def let_pass(self, time: timedelta) -> None:
        """As if everything in the books had happened so much earlier."""
        for table, columns in (
            ("purchase_history", ("lease_expires_at", "sent_at", "looked_at", "free_since", "created_at")),
            ("hold_history", ("lease_expires_at", "sent_at", "looked_at", "free_since", "hold_until")),
        ):
            changes = ", ".join(f"{column} = {column} - %s" for column in columns)
            await self.rows(f"UPDATE {table} SET {changes}", *([time] * len(columns)))

    async def watch(self) -> None:
        """One turn of what ``diamond api`` does periodically; every open question is due."""
        await self.settle()
        await self._watch().look_for_evidence()

    async def settle(self) -> None:
        """The part of a turn that asks nobody."""
        await self._watch().settle()

    def _watch(self) -> TradeWatch:
        at_once = WatchSettings(soonest_look=timedelta(0), latest_look=timedelta(0))
        return TradeWatch(self.pipeline.desk(), holder=uuid4(), clock=SystemClock(), settings=at_once)

    async def version(self) -> int:
        rows = await self.rows("SELECT version FROM dataset_versions WHERE feed = 'nivoda'")
        return rows[0]["version"] if rows else 0

    async def changed_since(self, version: int) -> set[UUID]:
        """Which stones a copy of the catalogue has to read again."""
        rows = await self.rows(
            "SELECT unnest(diamond_ids) AS id FROM dataset_changes WHERE version > %s", version
        )
        return {row["id"] for row in rows}

    async def consolidate(self, run_type: RunType = RunType.FULL) -> None:
        """A whole run of the pipeline."""
        await read_everything(self.pipeline, run_type)


@asynccontextmanager
async def open_market(
    pool: Pool, url: str, *, hmac_clients: Mapping[str, HmacClient] | None = None, **settings: Any
) -> AsyncIterator[Market]:
    """The supplier read once into the catalogue."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with (
        Simulator(replace(CALM, **settings)) as simulator,
        simulated_pipeline(url, simulator, **_COARSE) as pipeline,
    ):
        await read_everything(pipeline)
        async with open_api(pool, clock, pipeline=pipeline, hmac_clients=hmac_clients or {}) as api:
            yield Market(pool, simulator, pipeline, api)


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """``is_given`` is set when the supplier has done what it was asked for; the test sets ``may_arrive``."""

    is_given: asyncio.Event = field(default_factory=asyncio.Event)
    may_arrive: asyncio.Event = field(default_factory=asyncio.Event)


@contextmanager
def answered_late(request: Literal["create_hold", "create_order"]) -> Iterator[LateAnswer]:
    """The supplier does such a request at once, and its answer is under way for as long as the test wants."""
    answer = LateAnswer()
    ask = getattr(NivodaTrading, request)

    async def wait_for_answer(trading: NivodaTrading, about: Any) -> Any:
        given = await ask(trading, about)
        answer.is_given.set()
        await answer.may_arrive.wait()
        return given

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(NivodaTrading, request, wait_for_answer)
        yield answer


async def read_everything(pipeline: Pipeline, run_type: RunType = RunType.FULL) -> None:
    """A run to its end, each message handed on at once: no loop of the product's has to become idle."""
    run = await plan(pipeline, FEED, run_type, SilentView())
    consolidator = pipeline.consolidator()
    handlers = {
        WORK_ITEMS: pipeline.worker().handle,
        WORK_DONE: consolidator.handle_work_done,
        CONSOLIDATE: consolidator.handle_consolidate,
    }
    sweeper = pipeline.sweeper(alone=True, seconds=0.001)
    while not run.state.is_over:
        for name, handle in handlers.items():
            for message in await pipeline.queues[name].receive(1000, wait_seconds=0):
                await handle(message)
                await pipeline.queues[name].complete(message)
        await sweeper.sweep()
        async with pipeline.pool.connection() as conn:
            run = await get_run(conn, run.run_id)
    assert run.state is RunState.COMPLETED, run
