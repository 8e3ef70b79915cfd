"""What every test may ask for: a fresh migrated database of its own, a pool, a market on it, a clock it moves itself.

One embedded server runs for each test process, from the first test that needs it. DIAMOND_TEST_DATABASE_URL
names another one to be used instead: PostgreSQL 15 or newer, and a user who may create databases.
DIAMOND_POSTGRES_BIN, as for the program itself, names the programs of which the embedded server is made.
"""

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool

from diamond_opus.db.embedded import EmbeddedPostgres
from diamond_opus.db.migrate import migrate
from diamond_opus.db.pool import connect, open_pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.queue.pgmq_schema import PGMQ_STEP
from log_secrets import SECRETS, pytest_runtest_makereport, pytest_runtest_setup
from trade_market import Client, Market, open_market

__all__ = ["pytest_runtest_makereport", "pytest_runtest_setup"]  # hooks: no secret in any log

EXTERNAL_SERVER = os.environ.get("DIAMOND_TEST_DATABASE_URL") or None
POSTGRES_BIN = os.environ.get("DIAMOND_POSTGRES_BIN") or None

#: Nothing has to outlive a test; no vacuum at odd moments, so that plans and locks are the test's own.
FAST_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


@pytest.fixture(scope="session")
def quickest_place() -> Path | None:
    """Where servers of tests are quickest: in memory, where there is enough of it for a few small databases."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    try:
        return memory if shutil.disk_usage(memory).free > 2**30 and os.access(memory, os.W_OK) else None
    except OSError:
        return None


@pytest.fixture(scope="session")
def database_server(quickest_place: Path | None) -> Iterator[str]:
    """The URL of a server whose user may create databases."""
    if EXTERNAL_SERVER is not None:
        SECRETS.know(urlsplit(EXTERNAL_SERVER).password)
        yield EXTERNAL_SERVER
        return
    home = Path(tempfile.mkdtemp(prefix="diamond-tests-", dir=quickest_place))
    home.chmod(0o755)  # as root, the server's own user must be able to enter
    programs = Path(POSTGRES_BIN) if POSTGRES_BIN else None
    try:
        with (
            EmbeddedPostgres.start(home, bin_folder=programs, settings=FAST_SETTINGS) as server,
            _stopped_if_we_die(server, home),
        ):
            SECRETS.know(urlsplit(server.url).password)
            yield server.url
            SECRETS.look(server.log.read_text(errors="replace"), "PostgreSQL's own log")
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def template_database(database_server: str) -> Iterator["Databases"]:
    """A migrated database that is only ever copied, and the means to copy it."""
    with psycopg.connect(database_server, autocommit=True) as admin:
        databases = Databases(admin, database_server, ours=EXTERNAL_SERVER is None)
        template = databases.create()
        asyncio.run(_migrate(databases.url(template)))
        databases.template = template
        yield databases
        databases.drop(template)


@pytest.fixture
def empty_database_url(template_database: "Databases") -> Iterator[str]:
    """A database with nothing in it, this test's own."""
    yield from template_database.lend(template="template0")


@pytest.fixture
def database_url(template_database: "Databases") -> Iterator[str]:
    """A database migrated to the newest schema, this test's own."""
    yield from template_database.lend(template=template_database.template)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[AsyncConnectionPool[AsyncConnection[Any]]]:
    """An open pool on ``database_url``, set up as the product's own."""
    async with open_pool(database_url, application_name="test", max_size=8) as opened:
        yield opened


@pytest.fixture
async def market(pool: AsyncConnectionPool[AsyncConnection[Any]], database_url: str) -> AsyncIterator[Market]:
    """A catalogue of a simulated supplier's stones, with the API and trade open on it."""
    async with open_market(pool, database_url) as opened:
        yield opened


@pytest.fixture
async def shop(market: Market) -> Client:
    """A client of the market's API who may trade and not see cost."""
    return await market.client("trade")


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of a blob storage on loopback."""
    storage = pytest.importorskip("blob_storage")
    with storage.run_azurite() as connection:
        yield connection


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


class Databases:
    """Makes and drops databases through one administrative session."""

    def __init__(self, admin: psycopg.Connection[Any], server: str, *, ours: bool) -> None:
        self._admin = admin
        self._server = server
        # Copying files is the quickest (10 ms against 150) where the checkpoint it needs costs nothing.
        self._strategy: LiteralString = "FILE_COPY" if ours else "WAL_LOG"
        self._numbers = itertools.count(1)
        self.template = "template0"

    def create(self, template: str = "template0") -> str:
        name = f"diamond_test_{os.getpid()}_{next(self._numbers)}"
        self._admin.execute(
            SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}").format(
                Identifier(name), Identifier(template), SQL(self._strategy)
            )
        )
        return name

    def drop(self, name: str) -> None:
        self._admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    def url(self, name: str) -> str:
        return make_conninfo(self._server, dbname=name)

    def lend(self, template: str) -> Iterator[str]:
        name = self.create(template)
        try:
            yield self.url(name)
        finally:
            self.drop(name)


async def _migrate(url: str) -> None:
    async with await connect(url, application_name="test template") as conn:
        await migrate(conn, steps=[PGMQ_STEP])


@contextmanager
def _stopped_if_we_die(server: EmbeddedPostgres, home: Path) -> Iterator[None]:
    """A shell that outlives a killed test process just long enough to clean up after it."""
    script = 'read -r _; kill -QUIT "$1"; sleep 1; rm -rf "$2"'
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", str(server.pid), str(home)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    with watcher:
        try:
            yield
        finally:
            watcher.kill()
