"""PostgreSQL is killed and started again in mid-run: workers and consolidators wait for it and the run ends."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from diamond_opus.db.embedded import EmbeddedPostgres
from diamond_opus.db.pool import open_pool
from diamond_opus.wiring import migrate_database
from pipeline_processes import (
    Processes,
    assert_same,
    changed_supplier,
    content,
    inventory,
    quiet_content,
    until_over,
)


class Server:
    """A PostgreSQL of the test's own, which it may kill."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._server = EmbeddedPostgres.start(home)

    @property
    def url(self) -> str:
        return self._server.url

    def kill_and_restart(self) -> None:
        """SIGKILL to the very process that was started here, then the start that a person would do."""
        os.kill(self._server.pid, signal.SIGKILL)
        self._server = EmbeddedPostgres.start(self._home, port=self._server.port)

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path / "home")
    try:
        yield started
    finally:
        started.stop()


async def until(url: str, condition: str) -> None:
    """Wait until the newest run is as the condition says."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn, asyncio.timeout(100):
        while True:
            cursor = await conn.execute(
                f"SELECT {condition} FROM run_metadata ORDER BY started_at DESC LIMIT 1".encode()
            )
            if await cursor.fetchone() == (True,):
                return
            await asyncio.sleep(0.02)


@pytest.mark.long  # a database server is set up and killed twice, and processes wait for it
@pytest.mark.timeout(400)
async def test_a_run_outlives_the_death_of_its_database(server: Server, tmp_path: Path) -> None:
    await migrate_database(server.url)
    supplier = inventory(40, answer_delay_seconds=0.05)
    async with open_pool(server.url, application_name="test", max_size=4) as pool:
        expected = await quiet_content(supplier, pool, server.url)
    async with (
        changed_supplier(supplier, server.url) as simulator,
        Processes(server.url, simulator, tmp_path) as processes,
    ):
        assert await processes.run("schedule", "--type", "full") == 0
        await processes.start("worker")
        await until(server.url, "completed_workers BETWEEN 1 AND 3 OR state = 'ingested'")
        await asyncio.to_thread(server.kill_and_restart)
        await until(server.url, "state = 'ingested'")
        await processes.start("consolidator")
        await until(server.url, "state = 'consolidating' OR state = 'completed'")
        await asyncio.to_thread(server.kill_and_restart)
        async with open_pool(server.url, application_name="test", max_size=4) as pool:
            await until_over(pool, processes)
            assert_same(await content(pool), expected)
