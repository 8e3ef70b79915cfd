"""A PostgreSQL of the harness's own, which it may kill, and databases copied from templates."""

import asyncio
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from diamond_opus.db.embedded import EmbeddedPostgres
from diamond_opus.wiring import migrate_database

#: What survives the death of the server survives; only the machine's own death is not tried.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "deadlock_timeout": "200ms",
    "max_connections": "200",
}
_ENOUGH = 2**30
SENTINEL = Path(__file__).with_name("sentinel.sql")


class Ground:
    """One server; ``blank`` is the template of a migrated database with the sentinel in it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._numbers = itertools.count(1)
        self._server = EmbeddedPostgres.start(home, settings=_SETTINGS)

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator["Ground"]:
        home = _make_home()
        ground = await asyncio.to_thread(cls, home)
        try:
            await ground._make_blank()
            yield ground
        finally:
            await asyncio.to_thread(ground._server.stop)
            shutil.rmtree(home, ignore_errors=True)

    @property
    def log(self) -> Path:
        return self._server.log

    def url(self, database: str) -> str:
        return make_conninfo(self._server.url, dbname=database)

    def create(self, template: str = "blank") -> str:
        """A new database; returns its name."""
        name = f"faults_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            admin.execute(
                SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                    Identifier(name), Identifier(template)
                )
            )
        return name

    def drop(self, name: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    def crash(self) -> None:
        """SIGKILL to one of its processes: the server ends all sessions and recovers by itself."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as victim:
            os.kill(victim.info.backend_pid, signal.SIGKILL)

    def kill_and_restart(self) -> None:
        """SIGKILL to the server, and the start that a supervisor would do."""
        os.kill(self._server.pid, signal.SIGKILL)
        self._server = EmbeddedPostgres.start(self._home, port=self._server.port, settings=_SETTINGS)

    async def _make_blank(self) -> None:
        blank = await asyncio.to_thread(self.create, "template0")
        await migrate_database(self.url(blank))
        with psycopg.connect(self.url(blank), autocommit=True) as conn:
            conn.execute(SENTINEL.read_bytes())
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            admin.execute(SQL("ALTER DATABASE {} RENAME TO blank").format(Identifier(blank)))


def _make_home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="diamond-faults-", dir=_quickest_place()))
    home.chmod(0o755)  # as root, the server's own user must be able to enter
    return home


def _quickest_place() -> Path | None:
    """Memory, where there is enough of it."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    try:
        return memory if shutil.disk_usage(memory).free > _ENOUGH and os.access(memory, os.W_OK) else None
    except OSError:
        return None
