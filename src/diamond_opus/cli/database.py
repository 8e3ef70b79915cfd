"""``diamond db``: the embedded server's life, and the schema of whichever database is configured."""

import json
from typing import Annotated

import typer
from rich.table import Table

from diamond_opus.cli.pipeline import JsonOption
from diamond_opus.cli.running import console, output, prepare, run_async
from diamond_opus.db.embedded import EmbeddedPostgres
from diamond_opus.db.errors import describe_address
from diamond_opus.db.migrate import NOTHING, MigrationStatus, bootstrap_sql, migrate, rollback, status
from diamond_opus.db.pool import connect
from diamond_opus.domain.errors import ConfigurationError, DiamondError
from diamond_opus.settings import Settings
from diamond_opus.wiring import MIGRATION_STEPS, migrate_database, open_database, start_embedded

app = typer.Typer(help="The database: the embedded server, and the schema.", no_args_is_help=True)

_APPLICATION = "diamond db"


class NotRunning(DiamondError):
    """The embedded server does not run, and this command does not start it."""


@app.command()
def start() -> None:
    """Leave a migrated embedded server running and print its URL, password included."""
    settings = prepare("db", quiet=True)
    _require_embedded(settings, "to start", "to bring its schema up to date: diamond db migrate")
    server = start_embedded(settings)
    try:
        run_async(migrate_database(server.url))
    except BaseException:
        if server.started_here:
            server.stop()
        raise
    how = "started" if server.started_here else "ran already"
    console.print(
        f"PostgreSQL {server.version} {how} on port {server.port}; stop it with: diamond db stop",
        highlight=False,
    )
    print(server.url)


@app.command()
def stop() -> None:
    """Stop the embedded server; what was committed stays."""
    settings = prepare("db", quiet=True)
    _require_embedded(settings, "to stop", "stop it where it was started")
    server = _find(settings)
    if server is None:
        console.print(f"No server of {settings.diamond_home} is running.", highlight=False)
        return
    server.stop()
    console.print(f"PostgreSQL of {settings.diamond_home} stopped.", highlight=False)


@app.command()
def url() -> None:
    """The connection string of the configured or the running embedded server, password included."""
    settings = prepare("db", quiet=True)
    if settings.server_url is not None:
        print(settings.server_url)
        return
    server = _find(settings)
    if server is None:
        raise NotRunning(f"no server of {settings.diamond_home} is running; start it: diamond db start")
    print(server.url)


@app.command(name="migrate")
def migrate_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be applied.")] = False,
) -> None:
    """Apply the pending migrations and the queues' schema."""
    settings = prepare("db", quiet=True)
    versions = run_async(_migrate(settings, dry_run=dry_run))
    verb = "Would apply" if dry_run else "Applied"
    console.print(
        f"{verb}: {', '.join(versions)}" if versions else "Up to date.", highlight=False, soft_wrap=True
    )


async def _migrate(settings: Settings, *, dry_run: bool) -> list[str]:
    async with (
        open_database(settings) as address,
        await connect(address, application_name=_APPLICATION) as conn,
    ):
        if dry_run:
            return [step.version for step in await status(conn, steps=MIGRATION_STEPS) if not step.applied_at]
        return list(await migrate(conn, steps=MIGRATION_STEPS))


@app.command(name="rollback")
def rollback_command(
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="The last version to keep; 0000 keeps none. Default: take back only the last one."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken back.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Needed on a server of your own: data is lost for good.")
    ] = False,
) -> None:
    """Take migrations back, the newest first. The tables they made go with all that is in them."""
    settings = prepare("db", quiet=True)
    if settings.server_url is not None and not (yes or dry_run):
        raise ConfigurationError(
            "db rollback drops tables with all that is in them, on a server that is not ours; look first with "
            "--dry-run, then say --yes"
        )
    versions = run_async(_roll_back(settings, to, dry_run=dry_run))
    verb = "Would take back" if dry_run else "Took back"
    console.print(
        f"{verb}: {', '.join(versions)}" if versions else "Nothing to take back.",
        highlight=False,
        soft_wrap=True,
    )


async def _roll_back(settings: Settings, to: str | None, *, dry_run: bool) -> list[str]:
    async with (
        open_database(settings) as address,
        await connect(address, application_name=_APPLICATION) as conn,
    ):
        if not dry_run:
            return list(await rollback(conn, to=to, steps=MIGRATION_STEPS))
        applied = [step.version for step in await status(conn, steps=MIGRATION_STEPS) if step.applied_at]
        first = _position_after(to, applied)
        return applied[first:][::-1]


def _position_after(last_kept: str | None, applied: list[str]) -> int:
    if last_kept is None:
        return len(applied) - 1
    if last_kept == NOTHING:
        return 0
    if last_kept not in applied:
        raise ConfigurationError(
            f"--to {last_kept}: not applied; choose from: {NOTHING}, {', '.join(applied)}"
        )
    return applied.index(last_kept) + 1


@app.command(name="status")
def status_command(as_json: JsonOption = False) -> None:
    """Which migrations are applied, and which are pending."""
    settings = prepare("db", quiet=True)
    steps = run_async(_status(settings))
    if as_json:
        print(json.dumps([_as_json(step) for step in steps]))
        return
    table = Table(title="Migrations")
    for column in ("version", "applied (UTC)", "description"):
        table.add_column(column)
    for step in steps:
        applied = f"{step.applied_at:%Y-%m-%d %H:%M:%S}" if step.applied_at else "[yellow]pending[/]"
        table.add_row(
            step.version, applied, step.description if step.known else f"{step.description} [red](unknown)[/]"
        )
    output.print(table)


async def _status(settings: Settings) -> list[MigrationStatus]:
    async with (
        open_database(settings) as address,
        await connect(address, application_name=_APPLICATION) as conn,
    ):
        return list(await status(conn, steps=MIGRATION_STEPS))


def _as_json(step: MigrationStatus) -> dict[str, object]:
    return {
        "version": step.version,
        "description": step.description,
        "appliedAt": step.applied_at.isoformat().replace("+00:00", "Z") if step.applied_at else None,
        "known": step.known,
    }


@app.command(name="bootstrap-sql")
def bootstrap_sql_command() -> None:
    """Print the whole schema as one script for an empty database."""
    print(bootstrap_sql(), end="")


def _find(settings: Settings) -> EmbeddedPostgres | None:
    return EmbeddedPostgres.find(settings.diamond_home, bin_folder=settings.diamond_postgres_bin)


def _require_embedded(settings: Settings, verb: str, instead: str) -> None:
    if settings.server_url is not None:
        name = "DATABASE_URL" if settings.database_url is not None else "DATABASE_HOST"
        raise ConfigurationError(
            f"{name} is set: the server of {describe_address(settings.server_url)} is not ours {verb}; "
            f"unset {name} for the embedded one, or {instead}"
        )
