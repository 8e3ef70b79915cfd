"""Which schema a database has and how it gets the next one: every step once, in order, and recorded."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import scalar_row, tuple_row

from diamond_opus.db.migration_files import (
    Migration,
    MigrationError,
    is_transactional,
    load_migrations,
    split_statements,
)

Connection = AsyncConnection[Any]

#: Where rolling back may go: before the first migration.
NOTHING = "0000"

_LOCK = 0x6469_616D_6F6E_6401  # "diamond", and 01 for migrating
_LOCK_POLL_SECONDS = 0.1

_CREATE_LEDGER = """\
CREATE TABLE IF NOT EXISTS schema_migrations (
    version TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
)"""

_BOOTSTRAP_HEADER = """\
-- The whole schema of Diamond Opus, for an empty database: one script, one transaction.
-- Generated from src/diamond_opus/db/migrations; do not edit. To write it anew:
--     diamond db bootstrap-sql > sql/bootstrap.sql
-- It records every migration it holds, so that a later `diamond db migrate` adds only what is not in here.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to apply and record after our migrations, such as a schema that another package brings.

    ``apply`` and ``rollback`` get a connection inside a transaction. Where ``is_applied`` says that somebody
    else did its work already, the step is only recorded.
    """

    version: str
    description: str
    apply: Callable[[Connection], Awaitable[None]]
    rollback: Callable[[Connection], Awaitable[None]]
    is_applied: Callable[[Connection], Awaitable[bool]] | None = None


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """``applied_at`` is None while it is pending; ``known`` is False for one that this program lacks."""

    version: str
    description: str
    applied_at: datetime | None
    known: bool


async def migrate(
    conn: Connection, *, steps: Sequence[Step] = (), migrations: Sequence[Migration] | None = None
) -> Sequence[str]:
    """Apply what is pending; returns the versions this call applied. Several may call it at once.

    ``conn`` must be in autocommit. Raises MigrationError at the first that fails; those before it stay.
    """
    _require_autocommit(conn)
    async with _exclusive(conn):
        await conn.execute(_CREATE_LEDGER)
    return [task.version for task in _tasks(migrations, steps) if await _apply_once(conn, task)]


async def rollback(
    conn: Connection,
    *,
    to: str | None = None,
    steps: Sequence[Step] = (),
    migrations: Sequence[Migration] | None = None,
) -> Sequence[str]:
    """Take back all that came after ``to`` (NOTHING: everything), or the last one; returns the versions."""
    _require_autocommit(conn)
    tasks = _tasks(migrations, steps)
    versions = [task.version for task in tasks]
    if to is not None and to not in (NOTHING, *versions):
        raise MigrationError(
            f"rollback: there is no version {to}; choose from: {NOTHING}, {', '.join(versions)}"
        )
    applied = await _applied(conn)
    last_kept = versions.index(to) if to in versions else -1
    chosen = [task for task in tasks[last_kept + 1 :] if task.version in applied]
    if to is None:
        chosen = chosen[-1:]
    return [task.version for task in reversed(chosen) if await _take_back_once(conn, task)]


async def status(
    conn: Connection, *, steps: Sequence[Step] = (), migrations: Sequence[Migration] | None = None
) -> Sequence[MigrationStatus]:
    """Every version that this program or the database knows, in order; changes nothing."""
    applied = await _applied(conn)
    tasks = _tasks(migrations, steps)
    ours = [
        MigrationStatus(t.version, t.description, applied.get(t.version, (None, ""))[0], True) for t in tasks
    ]
    known = {task.version for task in tasks}
    foreign = [
        MigrationStatus(version, description, applied_at, False)
        for version, (applied_at, description) in sorted(applied.items())
        if version not in known
    ]
    return [*ours, *foreign]


async def pending(
    conn: Connection, *, steps: Sequence[Step] = (), migrations: Sequence[Migration] | None = None
) -> Sequence[str]:
    """The versions that ``migrate`` would apply."""
    states = await status(conn, steps=steps, migrations=migrations)
    return [state.version for state in states if state.applied_at is None]


def bootstrap_sql(migrations: Sequence[Migration] | None = None) -> str:
    """One script that does to an empty database what ``migrate`` without steps does, records included."""
    parts = [_BOOTSTRAP_HEADER, "BEGIN;\n", f"{_CREATE_LEDGER.replace(' IF NOT EXISTS', '')};\n"]
    for migration in _ours(migrations):
        sql = migration.sql.strip()
        if not is_transactional(sql):
            # Inside a transaction it is not allowed, and on an empty table not needed.
            sql = re.sub(r"\s+CONCURRENTLY\b", "", sql)
        parts.append(
            f"-- ---- {migration.name}\n{sql}\n\n"
            "INSERT INTO schema_migrations (version, description)\n"
            f"VALUES ({_quote(migration.version)}, {_quote(migration.description)});\n"
        )
    return "\n".join([*parts, "COMMIT;\n"])


@dataclass(frozen=True, slots=True)
class _Task:
    """A migration or a step, seen alike: what to run, and whether inside a transaction."""

    version: str
    name: str
    description: str
    apply: Callable[[Connection], Awaitable[None]]
    rollback: Callable[[Connection], Awaitable[None]]
    is_applied: Callable[[Connection], Awaitable[bool]] | None = None
    apply_in_transaction: bool = True
    rollback_in_transaction: bool = True


def _ours(migrations: Sequence[Migration] | None) -> Sequence[Migration]:
    return load_migrations() if migrations is None else migrations


def _tasks(migrations: Sequence[Migration] | None, steps: Sequence[Step]) -> Sequence[_Task]:
    ours = [
        _Task(
            version=migration.version,
            name=migration.name,
            description=migration.description,
            apply=partial(_run_script, sql=migration.sql),
            rollback=partial(_run_script, sql=migration.rollback_sql),
            apply_in_transaction=is_transactional(migration.sql),
            rollback_in_transaction=is_transactional(migration.rollback_sql),
        )
        for migration in _ours(migrations)
    ]
    theirs = [
        _Task(step.version, step.version, step.description, step.apply, step.rollback, step.is_applied)
        for step in steps
    ]
    return [*ours, *theirs]


async def _run_script(conn: Connection, *, sql: str) -> None:
    """Run a whole file, or its statements one by one; an error gets the file's line as a note."""
    for statement in [sql] if is_transactional(sql) else split_statements(sql):
        try:
            await conn.execute(statement.encode())
        except psycopg.Error as error:
            if error.diag.statement_position:
                position = sql.index(statement) + int(error.diag.statement_position) - 1
                error.add_note(f" at line {sql.count(chr(10), 0, position) + 1}")
            raise


async def _apply_once(conn: Connection, task: _Task) -> bool:
    """Apply and record, unless it is recorded; returns whether this call did it."""
    async with _working_on(conn, task, alone=task.apply_in_transaction):
        if await _is_recorded(conn, task.version):
            return False
        if task.is_applied is None or not await task.is_applied(conn):
            await task.apply(conn)
        await conn.execute(
            "INSERT INTO schema_migrations (version, description) VALUES (%s, %s)",
            (task.version, task.description),
        )
    return True


async def _take_back_once(conn: Connection, task: _Task) -> bool:
    async with _working_on(conn, task, alone=task.rollback_in_transaction):
        if not await _is_recorded(conn, task.version):
            return False
        await task.rollback(conn)
        await conn.execute("DELETE FROM schema_migrations WHERE version = %s", (task.version,))
    return True


@asynccontextmanager
async def _working_on(conn: Connection, task: _Task, *, alone: bool) -> AsyncIterator[None]:
    """Hold the migrators' lock, in the transaction of the work or, where it must have none, beside it."""
    try:
        if alone:
            async with _exclusive(conn):
                yield
            return
        async with (
            await AsyncConnection.connect(
                conn.info.dsn, password=conn.info.password, autocommit=True, prepare_threshold=None
            ) as guard,
            _exclusive(guard),
        ):
            yield
    except psycopg.Error as error:
        raise _explain(task, error, undone=alone) from error


@asynccontextmanager
async def _exclusive(conn: Connection) -> AsyncIterator[None]:
    """A transaction that holds the migrators' lock.

    Nobody may hold a snapshot meanwhile, because CREATE INDEX CONCURRENTLY waits for all of them: so who waits
    does it between transactions, and the lock is asked for without parameters, for a query with parameters keeps
    its snapshot until the next one.
    """
    while True:
        async with conn.transaction():
            if await _fetch_scalar(conn, f"SELECT pg_try_advisory_xact_lock({_LOCK})"):
                yield
                return
        await asyncio.sleep(_LOCK_POLL_SECONDS)


async def _is_recorded(conn: Connection, version: str) -> bool:
    return bool(
        await _fetch_scalar(
            conn, "SELECT EXISTS (SELECT FROM schema_migrations WHERE version = %s)", (version,)
        )
    )


async def _applied(conn: Connection) -> dict[str, tuple[datetime, str]]:
    if not await _fetch_scalar(conn, "SELECT to_regclass('schema_migrations') IS NOT NULL"):
        return {}
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute("SELECT version, applied_at, description FROM schema_migrations")
        return {
            version: (applied_at, description) for version, applied_at, description in await cursor.fetchall()
        }


async def _fetch_scalar(conn: Connection, query: str, parameters: Sequence[Any] | None = None) -> Any:
    async with conn.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(query.encode(), parameters)
        return await cursor.fetchone()


def _require_autocommit(conn: Connection) -> None:
    if not conn.autocommit:
        raise ValueError("migrations need a connection in autocommit: each one is its own transaction")


def _explain(task: _Task, error: psycopg.Error, *, undone: bool) -> MigrationError:
    where = "".join(getattr(error, "__notes__", ()))
    state = (
        "nothing of it was kept"
        if undone
        else "what ran before that statement stays; put the cause right and run it again"
    )
    reason = error.diag.message_primary or " ".join(str(error).split())
    return MigrationError(f"migration {task.name}: {reason}{where} (SQLSTATE {error.sqlstate}); {state}")


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
