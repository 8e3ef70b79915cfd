"""A whole database into a file and back, by PostgreSQL's own pg_dump and pg_restore."""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from diamond_opus.db.embedded.binaries import programs_folder
from diamond_opus.db.errors import describe_address
from diamond_opus.db.pool import Connection, connect, patience
from diamond_opus.domain.errors import DiamondError

#: Ours, and the queues'. A hosted server has further schemas of its own, which nobody may restore.
_SCHEMAS = ("public", "pgmq")

#: Copies in memory and at clients know the catalogue by its version. One that counts on from an older state would meet
#: numbers that they have seen with other stones.
_VERSIONS_SKIPPED = 1_000_000

#: From this release on pg_restore asks every server for a setting that came with it.
_SETS_TRANSACTION_TIMEOUT = 17

_LAST_WORDS = 1500


class DumpFailed(DiamondError):
    """A backup or a restore that was refused or did not work; nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class Dump:
    """A finished file."""

    file: Path
    size_bytes: int


async def dump_database(url: str, file: Path, *, bin_folder: Path | None, stop: asyncio.Event) -> Dump:
    """Write the database as it is at this moment; whoever works with it is not disturbed.

    The file appears under its name when it is whole. Raises DumpFailed.
    """
    _refuse_existing(file)
    tool = await _tool("pg_dump", bin_folder)
    await _check_versions(url, tool)
    aside = file.with_name(f".{file.name}.unfinished")
    aside.unlink(missing_ok=True)
    try:
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        schemas = [f"--schema={schema}" for schema in _SCHEMAS]
        await _run(tool, ["--format=custom", *schemas, f"--file={aside}"], url, stop)
        await _contents(aside, bin_folder, stop)
        return _take_name(aside, file)
    finally:
        aside.unlink(missing_ok=True)


async def restore_database(url: str, file: Path, *, bin_folder: Path | None, stop: asyncio.Event) -> None:
    """Read a file into an empty database, in one transaction. Raises DumpFailed.

    What the schema lacks for this release is left to the caller, as is what it says of trouble, which is of the past.
    """
    contents = await _contents(file, bin_folder, stop)
    tool = await _tool("pg_restore", bin_folder)
    await _check_versions(url, tool)
    async with await connect(url, application_name="diamond restore") as conn:
        await _refuse_tables(conn, url)
        if re.search(r"^\d+;.* SCHEMA - pgmq ", contents, re.MULTILINE):
            await conn.execute("CREATE SCHEMA IF NOT EXISTS pgmq")
    schemas = [f"--schema={schema}" for schema in _SCHEMAS]
    options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
    await _run(tool, [*options, *schemas, str(file)], url, stop)
    async with await connect(url, application_name="diamond restore") as conn:
        await conn.execute(
            "UPDATE dataset_versions SET version = version + %s, updated_at = clock_timestamp()",
            [_VERSIONS_SKIPPED],
        )
        with patience():
            await conn.execute("ANALYZE")


@dataclass(frozen=True, slots=True)
class _Tool:
    path: Path
    major: int


async def _tool(name: str, bin_folder: Path | None) -> _Tool:
    path = programs_folder(bin_folder) / name
    try:
        process = await asyncio.create_subprocess_exec(path, "--version", stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
    except OSError as error:
        raise DumpFailed(
            f"{path} cannot be run ({error.strerror}); set DIAMOND_POSTGRES_BIN to the bin folder of a PostgreSQL "
            "that has it"
        ) from error
    match = re.search(rb"\(PostgreSQL\)\D* (\d+)", said)
    if match is None:
        raise DumpFailed(f"{path} does not tell its version; set DIAMOND_POSTGRES_BIN")
    return _Tool(path, int(match[1]))


async def _check_versions(url: str, tool: _Tool) -> None:
    async with await connect(url, application_name="diamond backup") as conn:
        server = conn.info.server_version // 10_000
    name = tool.path.name
    if tool.major < server:
        wrong = f"{name} is of PostgreSQL {tool.major} and cannot read the server's {server}"
    elif name == "pg_restore" and server < _SETS_TRANSACTION_TIMEOUT <= tool.major:
        wrong = (
            f"{name} of PostgreSQL {tool.major} asks for a setting that the server's {server} does not have"
        )
    else:
        return
    raise DumpFailed(f"{wrong}; set DIAMOND_POSTGRES_BIN to the bin folder of a PostgreSQL {server}")


async def _contents(file: Path, bin_folder: Path | None, stop: asyncio.Event) -> str:
    """What the file says is in it. Raises DumpFailed for one that is no backup."""
    return await _run(await _tool("pg_restore", bin_folder), ["--list", str(file)], None, stop)


async def _run(tool: _Tool, arguments: Sequence[str], url: str | None, stop: asyncio.Event) -> str:
    """What it prints. The password goes through the environment, for every user sees a command line."""
    target, environment = _connection(url)
    process = await asyncio.create_subprocess_exec(
        tool.path,
        *target,
        *arguments,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches us, and we end it in good order
    )
    stopping = asyncio.create_task(stop.wait())
    working = asyncio.create_task(process.communicate())
    try:
        await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise DumpFailed(f"{tool.path.name} was stopped before its end; nothing was kept")
        said, complaints = working.result()
    finally:
        stopping.cancel()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait((working,))
    if process.returncode:
        words = " ".join(complaints.decode(errors="replace").split())[-_LAST_WORDS:]
        raise DumpFailed(f"{tool.path.name} ended with {process.returncode}: {words}")
    return said.decode(errors="replace")


def _connection(url: str | None) -> tuple[list[str], Mapping[str, str]]:
    if url is None:
        return [], {}
    parts = conninfo_to_dict(url)
    password = parts.pop("password", None)
    target = [f"--dbname={make_conninfo('', **parts)}", "--no-password"]
    return target, {"PGPASSWORD": str(password)} if password else {}


async def _refuse_tables(conn: Connection, url: str) -> None:
    cursor = await conn.execute(
        "SELECT count(*), min(relname) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'S')"
        " AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (%s))",
        [list(_SCHEMAS)],
    )
    [(count, first)] = await cursor.fetchall()
    if count:
        raise DumpFailed(
            f"{describe_address(url)} is not empty: it has {count} tables, views or sequences, such as {first}. A "
            "backup is restored into an empty database only: create one and name it in DATABASE_URL, or for the "
            "embedded server set DIAMOND_HOME to a new folder"
        )


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise DumpFailed(f"{file} exists already, and a backup replaces nothing; choose another name")
    if not file.absolute().parent.is_dir():
        raise DumpFailed(f"{file.absolute().parent}: there is no such folder")


def _take_name(aside: Path, file: Path) -> Dump:
    """Only what is on disk as a whole gets the name."""
    descriptor = os.open(aside, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _refuse_existing(file)
    aside.rename(file)
    return Dump(file, file.stat().st_size)
