"""``diamond backup`` and ``diamond restore``: the whole database into a file, and back into an empty one."""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from diamond_opus.cli.pipeline import JsonOption
from diamond_opus.cli.running import console, prepare, run_async, stop_on_signals
from diamond_opus.cli.serving import check_schema
from diamond_opus.db.dump import Dump, DumpFailed, dump_database, restore_database
from diamond_opus.db.errors import describe_address
from diamond_opus.db.pool import connect
from diamond_opus.domain.errors import ConfigurationError, DiamondError
from diamond_opus.maintain import upkeep
from diamond_opus.monitoring.restored import settle_restored
from diamond_opus.observability.logging import get_logger
from diamond_opus.settings import Settings
from diamond_opus.wiring import migrate_database, open_database

log = get_logger(__name__)


def register(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)


def backup(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A new file; nothing is replaced.")
    ] = None,
    note: Annotated[
        str | None,
        typer.Option("--record", metavar="NOTE", help="Only write down that a backup was made elsewhere."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the database as it is now into FILE, beside everything that works with it.

    BACKUP_MAX_AGE_HOURS watches over the newest one.
    """
    if (file is None) == (note is None):
        raise ConfigurationError(
            "diamond backup: name a FILE, or --record NOTE for a backup that was made elsewhere"
        )
    if note is not None and not note.strip():
        raise ConfigurationError("diamond backup: --record needs a NOTE, such as where the backup is")
    settings = prepare("backup", quiet=True)
    if file is None:
        run_async(_record(settings, {"note": note}))
        console.print("Recorded.", highlight=False)
        return
    started = time.monotonic()
    made = run_async(_back_up(settings, file))
    seconds = time.monotonic() - started
    if as_json:
        print(json.dumps({"file": str(made.file), "bytes": made.size_bytes, "seconds": round(seconds, 3)}))
    else:
        console.print(f"{made.file}: {made.size_bytes / 1e6:,.1f} MB in {seconds:.1f} s", highlight=False)


async def _back_up(settings: Settings, file: Path) -> Dump:
    async with stop_on_signals() as stop, open_database(settings) as url:
        await check_schema(settings, url)
        started = time.monotonic()
        try:
            made = await dump_database(url, file, bin_folder=settings.diamond_postgres_bin, stop=stop)
        except (DiamondError, OSError) as error:
            try:
                await _write(url, {"file": file.name}, seconds=time.monotonic() - started, error=str(error))
            except (DiamondError, psycopg.Error) as unwritten:  # why the backup failed says more
                log.warning("backup_not_recorded", reason=str(unwritten))
            raise
        # Afterwards: a row that the backup itself holds would say there that it never ended.
        seconds = time.monotonic() - started
        await _write(url, {"file": file.name, "bytes": made.size_bytes}, seconds=seconds)
    return made


async def _record(settings: Settings, details: Mapping[str, object]) -> None:
    async with open_database(settings) as url:
        await check_schema(settings, url)
        await _write(url, details)


async def _write(
    url: str, details: Mapping[str, object], *, seconds: float = 0.0, error: str | None = None
) -> None:
    async with await connect(url, application_name="diamond backup") as conn:
        await upkeep.record(
            conn,
            upkeep.BACKUP,
            took=timedelta(seconds=seconds),
            details=details,
            error=error,
        )


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What diamond backup wrote.")],
) -> None:
    """Read a backup into an empty database, and bring its schema up to date.

    Nothing else may work with that database meanwhile. docs/backup.md says what to look at afterwards.
    """
    settings = prepare("restore", quiet=True)
    where = run_async(_restore(settings, file))
    console.print(f"Restored into {where}. Now: diamond doctor", highlight=False, soft_wrap=True)


async def _restore(settings: Settings, file: Path) -> str:
    async with stop_on_signals() as stop, open_database(settings) as url:
        await restore_database(url, file, bin_folder=settings.diamond_postgres_bin, stop=stop)
        try:
            await migrate_database(url)
            async with await connect(url, application_name="diamond restore") as conn:
                await settle_restored(conn)
        except (DiamondError, psycopg.Error, OSError) as error:
            raise DumpFailed(
                f"restore: {error}. The backup was read, but not brought up to date, and its old alerts would be told: "
                "drop the database, and restore into an empty one"
            ) from error
        return describe_address(url)
