"""A whole API on a port of its own, over a catalogue that one run has filled, for clients that are other programs."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from api_support import UNLIMITED
from psycopg.rows import scalar_row

from diamond_opus.api.app import create_app
from diamond_opus.api.dependencies import ApiDependencies
from diamond_opus.api.serve import serve
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import SystemClock
from diamond_opus.keys.api_keys import create_key
from diamond_opus.runs.model import RunState
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from pipeline_builders import run_to_end, simulated_pipeline

Result = TypeVar("Result")


@dataclass(slots=True)
class Served:
    """The API's address, and what a test needs from behind it; everything runs in a thread with a loop of its own."""

    database_url: str
    url: str = ""
    _pool: Pool = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _stop: asyncio.Event = field(init=False)

    def key(self, *permissions: str, name: str = "shop") -> str:
        return self._call(self._make_key(permissions, name))

    def fetch(self, query: str) -> Any:
        """The first value of a query's first row."""
        return self._call(self._fetch(query))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _make_key(self, permissions: tuple[str, ...], name: str) -> str:
        async with self._pool.connection() as conn:
            text, _ = await create_key(
                conn, name=name, permissions=permissions, actor="test", now=SystemClock().now()
            )
        return text

    async def _fetch(self, query: str) -> Any:
        async with self._pool.connection() as conn, conn.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(query.encode())
            return await cursor.fetchone()

    async def run(self, stones: int, ready: "Future[None]", overrides: dict[str, Any]) -> None:
        """Fill the catalogue from a simulated supplier, then serve until told to stop."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with (
            Simulator(SimulatorSettings(stones=stones, hostile_share=0.05)) as simulator,
            simulated_pipeline(self.database_url, simulator) as pipeline,
        ):
            run = await run_to_end(pipeline)
            assert run.state is RunState.COMPLETED
            self._pool = pipeline.pool
            dependencies = ApiDependencies(
                **{
                    "pool": pipeline.pool,
                    "pipeline": pipeline,
                    "version": "9.9.9",
                    "rate_limits": UNLIMITED,
                    **overrides,
                }
            )

            def tell(url: str) -> None:
                self.url = url
                ready.set_result(None)

            await serve(create_app(dependencies), "127.0.0.1", 0, stop=self._stop, on_ready=tell)


@contextmanager
def served_api(database_url: str, *, stones: int = 40, **overrides: Any) -> Iterator[Served]:
    """An API that serves ``stones`` of a simulated supplier; ``overrides`` are parts of its dependencies."""
    served, ready = Served(database_url), Future[None]()

    def live() -> None:
        try:
            asyncio.run(served.run(stones, ready, overrides))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=live, name="served api")
    thread.start()
    try:
        ready.result(timeout=60)
        yield served
    finally:
        if served.url:
            served.stop()
        thread.join(timeout=30)
