"""How we talk to PostgreSQL: bounded pools, short transactions, and one more try when that can help.

All of it works through a transaction pooler: no prepared statements, no session state, no startup options.
"""

import asyncio
import random
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Self, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import scalar_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from diamond_opus.db.errors import (
    AnswerTimeout,
    DatabaseUnavailable,
    describe_address,
    explain_failed_connection,
    is_transient,
)
from diamond_opus.db.niceness import share_niceness
from diamond_opus.db.observed import let_observe
from diamond_opus.domain.errors import ConfigurationError

Connection = AsyncConnection[Any]
Pool = AsyncConnectionPool[Connection]
Result = TypeVar("Result")

RECONNECT_SECONDS = 4.0

#: A process that is stopped, or whose machine is gone, between two statements of a transaction would keep its locks for
#: ever: no statement of it is running, and the server waits for the next. Half a minute is what a lease lasts.
IDLE_TRANSACTION_SECONDS = 30.0

#: How long a statement over the whole inventory may take; one batch or one row never takes near as long as the pool's
#: own limit.
WHOLE_INVENTORY_SECONDS = 900.0

_patience: ContextVar[float | None] = ContextVar("patience", default=None)
FIRST_BACKOFF_SECONDS = 0.05
MAX_BACKOFF_SECONDS = 2.0


def open_pool(
    conninfo: str,
    *,
    application_name: str,
    max_size: int,
    min_size: int = 0,
    idle_timeout_seconds: float = 30.0,
    connect_timeout_seconds: float = 10.0,
    answer_timeout_seconds: float = 60.0,
    idle_transaction_seconds: float = IDLE_TRANSACTION_SECONDS,
) -> Pool:
    """A pool to be entered with ``async with``; with ``min_size`` 0 nothing connects before it is used.

    Connections are in autocommit: a unit of work is a ``transaction``. Who finds no connection within
    ``connect_timeout_seconds`` gets DatabaseUnavailable, with the reason. A statement that is not answered within
    ``answer_timeout_seconds`` (see ``patience``) is cancelled and raises AnswerTimeout: the peer of a connection may
    be gone without a word, and then neither the server's time-outs nor TCP's would ever tell.

    Raises ConfigurationError for an empty ``conninfo``: libpq would fill it from PGHOST, PGDATABASE and the like, or
    take the local socket, and the work would go to a database that nobody named.
    """
    if not conninfo.strip():
        raise ConfigurationError(f"{application_name}: no database is named; set DATABASE_URL")
    return _ExplainingPool(
        conninfo,
        min_size=min_size,
        max_size=max_size,
        max_idle=idle_timeout_seconds,
        timeout=connect_timeout_seconds,
        answer_timeout=answer_timeout_seconds,
        # Give up soon, so that the next caller tries at once instead of waiting for a doubled delay to pass.
        reconnect_timeout=RECONNECT_SECONDS,
        kwargs=_connection_settings(application_name, connect_timeout_seconds),
        configure=partial(_set_up, idle_transaction_seconds=idle_transaction_seconds),
        name=application_name,
        open=False,
    )


@contextmanager
def patience(seconds: float = WHOLE_INVENTORY_SECONDS) -> Iterator[None]:
    """Statements inside may take so long, on any pool: for the few that go over a whole inventory."""
    before = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(before)


async def connect(
    conninfo: str, *, application_name: str, connect_timeout_seconds: float = 10.0
) -> Connection:
    """One connection, set up as those of a pool. Raises DatabaseUnavailable."""
    settings = _connection_settings(application_name, connect_timeout_seconds)
    try:
        conn = await AsyncConnection.connect(conninfo, **settings)
    except psycopg.OperationalError as error:
        raise explain_failed_connection(error, conninfo, application_name) from error
    await _set_up(conn)
    return conn


@asynccontextmanager
async def transaction(
    conn: Connection, *, statement_timeout_ms: int | None = None, snapshot: bool | str = False
) -> AsyncIterator[Connection]:
    """A unit of work. The timeout (0 = none) ends with it; ``snapshot`` makes all its reads see one moment: its own, or
    the one whose name another transaction, which must still be open, got from ``export_snapshot``.

    ``snapshot`` forbids writing, and neither may be asked for inside another transaction.
    """
    timeout = (
        None if statement_timeout_ms is None else f"SET LOCAL statement_timeout = {int(statement_timeout_ms)}"
    )
    name = snapshot if isinstance(snapshot, str) else None
    async with _snapshot(conn, timeout, name) if snapshot else _writable(conn, timeout):
        yield conn


async def export_snapshot(conn: Connection) -> str:
    """The name of the snapshot that ``conn`` is in; good for as long as its transaction lasts."""
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute("SELECT pg_export_snapshot()")
        name: str | None = await cursor.fetchone()
    if name is None:
        raise RuntimeError("the database gave its snapshot no name")
    return name


@asynccontextmanager
async def _writable(conn: Connection, timeout: str | None) -> AsyncIterator[None]:
    async with conn.transaction():
        if timeout is not None:
            await conn.execute(timeout.encode())
        yield


@asynccontextmanager
async def _snapshot(conn: Connection, timeout: str | None, name: str | None) -> AsyncIterator[None]:
    """Begun with all its settings in one message: a page has four exchanges with the server instead of six."""
    if _is_in_transaction(conn):
        raise RuntimeError("a snapshot was asked for inside another transaction, which would end with it")
    # A reader keeps no rows, and may wait: for a slow client of an export, or for others to use its snapshot.
    begin = [
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        "SET LOCAL idle_in_transaction_session_timeout = 0",
    ]
    if name is not None:
        begin.insert(1, f"SET TRANSACTION SNAPSHOT {_quoted(name)}")
    if timeout is not None:
        begin.append(timeout)
    try:
        await conn.execute("; ".join(begin).encode())
        yield
    finally:
        # Nothing was written, so there is nothing to keep; a connection that broke is its pool's business.
        if not conn.closed and _is_in_transaction(conn):
            await conn.rollback()


def _quoted(name: str) -> str:
    """A snapshot's name, such as 00000003-0000001B-1, as a literal."""
    if not all(letter.isalnum() or letter == "-" for letter in name):
        raise ValueError(f"{name!r} is no name of a snapshot")
    return f"'{name}'"


def _is_in_transaction(conn: Connection) -> bool:
    return conn.info.transaction_status != TransactionStatus.IDLE


async def run_in_transaction(
    pool: Pool,
    work: Callable[[Connection], Awaitable[Result]],
    *,
    attempts: int = 3,
    statement_timeout_ms: int | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Result:
    """Run ``work`` in a transaction; a transient error tries it again, up to ``attempts`` times in all.

    A connection lost in the very commit leaves open whether it happened, so ``work`` must be repeatable.
    """
    for attempt in range(1, attempts + 1):
        try:
            async with (
                pool.connection() as conn,
                transaction(conn, statement_timeout_ms=statement_timeout_ms),
            ):
                return await work(conn)
        except (psycopg.Error, DatabaseUnavailable) as error:
            if attempt == attempts or not is_transient(error):
                raise
        await sleep(_backoff(attempt))
    raise ValueError(f"attempts must be at least 1, not {attempts}")


def _backoff(attempt: int) -> float:
    """Seconds to wait after the given failed attempt: doubled each time, half of it left to chance."""
    longest = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1))
    return random.uniform(longest / 2, longest)


#: The server's own keepalives, for a client that is gone without a word.
_KEEPALIVES = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"


def _connection_settings(application_name: str, connect_timeout_seconds: float) -> dict[str, Any]:
    return {
        "autocommit": True,
        "prepare_threshold": None,
        "application_name": application_name,
        "connect_timeout": max(1, round(connect_timeout_seconds)),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }


async def _set_up(conn: Connection, *, idle_transaction_seconds: float = IDLE_TRANSACTION_SECONDS) -> None:
    share_niceness(conn)
    let_observe(conn)
    await _use_utc(conn)
    timeout = f"SET idle_in_transaction_session_timeout = {round(idle_transaction_seconds * 1000)}"
    await conn.execute(f"{timeout}; {_KEEPALIVES}".encode())


async def _use_utc(conn: Connection) -> None:
    """Our servers say UTC already; a pooler must not be sent a SET that it need not be sent."""
    if conn.info.parameter_status("TimeZone") not in ("UTC", "Etc/UTC"):
        await conn.execute("SET TIME ZONE 'UTC'")


class _ExplainingPool(AsyncConnectionPool[Connection]):
    """A pool whose time-outs say why, and that notices a server's restart before its user does."""

    def __init__(self, conninfo: str, *, answer_timeout: float, **settings: Any) -> None:
        self._failure: psycopg.OperationalError | None = None
        self._answer_timeout = answer_timeout
        super().__init__(
            conninfo,
            connection_class=self._connection_class(),
            check=self._check_if_disturbed,
            **settings,
        )

    async def getconn(self, timeout: float | None = None) -> Connection:
        """As the pool's own, but a cancellation that arrives together with the connection is not lost.

        Below Python 3.12 ``wait_for`` inside the pool forgets it, and the task would go on for ever.
        """
        task = asyncio.current_task()
        cancellations = task.cancelling() if task else 0
        try:
            conn = await super().getconn(timeout)
        except PoolTimeout as error:
            raise self._explain() from error
        if task is not None and task.cancelling() > cancellations:
            await self.putconn(conn)
            raise asyncio.CancelledError
        return conn

    def _explain(self) -> DatabaseUnavailable:
        conninfo = str(self.conninfo)
        if self._failure is not None:
            return explain_failed_connection(self._failure, conninfo, self.name)
        return DatabaseUnavailable(
            f"{self.name}: all {self.max_size} connections to {describe_address(conninfo)} were in use for "
            f"{self.timeout:g} s; raise PG_POOL_MAX, or look for the slow statement that holds them"
        )

    def _connection_class(self) -> type[Connection]:
        """Connections that are waited for so long and no longer, and that leave the reason of a failed attempt to
        connect with the pool, which itself only logs it.
        """
        pool = self

        class Bounded(AsyncConnection[Any]):
            @classmethod
            async def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
                try:
                    conn = await super().connect(conninfo, **kwargs)
                except psycopg.OperationalError as error:
                    pool._failure = error
                    raise
                pool._failure = None
                return conn

            async def wait(self, gen: PQGen[Result], *args: Any, **kwargs: Any) -> Result:
                """Every exchange with the server passes here; what interrupts one cancels it, or closes it."""
                seconds = _patience.get() or pool._answer_timeout
                try:
                    async with asyncio.timeout(seconds):
                        return await super().wait(gen, *args, **kwargs)
                except TimeoutError as error:
                    if self.closed:
                        await (
                            pool.drain()
                        )  # the idle ones went the same way and would each cost as long a wait
                    raise AnswerTimeout(
                        f"{pool.name}: {describe_address(str(pool.conninfo))} did not answer within {seconds:g} s; the "
                        "statement was given up"
                    ) from error

        return Bounded

    async def _check_if_disturbed(self, conn: Connection) -> None:
        """Ask the server only when an idle connection has something to read: then it was probably closed.

        If so, the other idle ones probably were too.
        """
        poll = select.poll()
        poll.register(conn.fileno(), select.POLLIN)
        if not poll.poll(0):
            return
        try:
            await self.check_connection(conn)
        except psycopg.Error:
            await self.check()
            raise
