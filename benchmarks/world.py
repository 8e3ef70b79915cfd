"""What every benchmark needs: a database of its own, a simulated supplier, raw stones, and the pipeline's parts."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from diamond_opus.db.embedded import EmbeddedPostgres
from diamond_opus.db.pool import Pool
from diamond_opus.domain.ids import diamond_id
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import RawItem, StoneSource
from diamond_opus.runs import store as runs
from diamond_opus.runs.model import RunPlan, RunType
from diamond_opus.settings import Settings, load_settings
from diamond_opus.wiring import NIVODA, Pipeline, migrate_database, open_pipeline

_RAW_COLUMNS = (
    "feed, supplier_stone_id, id, run_id, offer_id, payload, payload_hash, asked_lab_grown, "
    "fetched_at, last_seen_at, last_seen_run_id"
)


@dataclass(frozen=True, slots=True)
class Served:
    """A server in a process of its own: the simulator, or an API."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def supplier(stones: int, *, seed: int = 7) -> Iterator[Served]:
    command = [sys.executable, "-m", "diamond_opus.simulator", "--port", "0"]
    options = ["--stones", str(stones), "--seed", str(seed)]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip() if process.stdout else ""
        yield Served(url, process.pid)
    finally:
        process.terminate()
        process.wait(10)


@asynccontextmanager
async def diamond(
    environment: Mapping[str, str], *arguments: str, output: IO[str] | int = asyncio.subprocess.DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A ``diamond`` command as it is shipped, in a process of its own, stopped at the end if it goes on."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("diamond")), *arguments, env=environment,
        stdout=output, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@contextmanager
def database() -> Iterator[EmbeddedPostgres]:
    """A fresh embedded server with the settings that the demo's has, removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="diamond-benchmark-"))
    server = EmbeddedPostgres.start(home)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def world(
    stones: int, sessions: int, batch_size: int | None, **others: Any
) -> AsyncIterator[tuple[Pipeline, Served]]:
    """A migrated database, a supplier, and a pipeline between them that no budget slows down.

    ``others`` are further settings.
    """
    with database() as server, supplier(stones) as simulator:
        settings = _settings(simulator, sessions, batch_size, **others)
        await migrate_database(server.url)
        async with open_pipeline(
            settings,
            server.url,
            service="benchmark",
            own_queues=True,
            least_connections=sessions + 6,
            unlimited=True,
        ) as pipeline:
            yield pipeline, simulator


def _settings(simulator: Served, sessions: int, batch_size: int | None, **others: Any) -> Settings:
    return load_settings(
        **others,
        nivoda_endpoint=simulator.url,
        nivoda_username="demo@example.com",
        nivoda_password="demo",  # noqa: S106 - the simulator's own
        consolidator_concurrency=sessions,
        consolidator_batch_size=batch_size,
    )


async def read_items(source: StoneSource, *, lab_grown: bool) -> AsyncIterator[list[RawItem]]:
    """Every stone of a type by plain offsets, eight pages at a time: the inventory stands still here."""
    selection, offset, limit = Selection(lab_grown), 0, source.page_limit
    total = await source.count(selection)
    while offset < total:
        asks = [source.read_page(selection, offset=offset + at * limit, limit=limit) for at in range(8)]
        pages = await asyncio.gather(*asks)
        yield [row for page in pages for row in page.rows if isinstance(row, RawItem)]
        offset += 8 * limit


async def load_raw(pipeline: Pipeline) -> UUID:
    """The supplier's inventory as pending raw rows of a run that is ingested."""
    plan = RunPlan(NIVODA, RunType.FULL, None, datetime.now(UTC), None, "benchmark", 0, ())
    now = datetime.now(UTC)
    async with pipeline.pool.connection() as conn, conn.cursor() as cursor:
        run_id = await runs.create_run(conn, plan)
        seen: set[str] = set()
        async with cursor.copy(f"COPY raw_diamonds ({_RAW_COLUMNS}) FROM STDIN") as copy:
            for lab_grown in (False, True):
                async for items in read_items(pipeline.sources[NIVODA], lab_grown=lab_grown):
                    for item in items:
                        if item.supplier_stone_id in seen:
                            continue
                        seen.add(item.supplier_stone_id)
                        await copy.write_row(
                            (
                                NIVODA,
                                item.supplier_stone_id,
                                diamond_id(NIVODA, item.supplier_stone_id),
                                run_id,
                                item.offer_id,
                                item.payload.decode(),
                                item.payload_hash,
                                lab_grown,
                                now,
                                now,
                                run_id,
                            )
                        )
        await cursor.execute("VACUUM (ANALYZE) raw_diamonds")
        await cursor.execute("CHECKPOINT")
    return run_id


async def copy_seconds(pool: Pool, table: str, columns: str, sessions: int) -> float:
    """The limit: the finished rows of ``table``, already encoded, into an identical table with all its indexes."""
    chunks: list[list[bytes]] = []
    async with pool.connection() as conn:
        for part in range(sessions):
            is_in_part = f"abs(hashtext(id::text)) % {sessions} = {part}"
            query = f"SELECT {columns} FROM {table} WHERE {is_in_part} ORDER BY supplier_stone_id"
            async with (
                conn.cursor() as cursor,
                cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy,
            ):
                chunks.append([bytes(chunk) async for chunk in copy])
        await conn.execute(f"CREATE TABLE limit_table (LIKE {table} INCLUDING ALL)")
        await conn.execute("CHECKPOINT")

    async def send(part: list[bytes]) -> None:
        statement = f"COPY limit_table ({columns}) FROM STDIN (FORMAT BINARY)"
        async with pool.connection() as conn, conn.cursor() as cursor, cursor.copy(statement) as copy:
            for at in range(0, len(part), 500):
                await copy.write(b"".join(part[at : at + 500]))

    started = time.perf_counter()
    await asyncio.gather(*(send(part) for part in chunks))
    seconds = time.perf_counter() - started
    async with pool.connection() as conn:
        await conn.execute("DROP TABLE limit_table")
    return seconds
