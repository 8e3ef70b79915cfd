"""``diamond keys``: who may ask the API."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from diamond_opus.cli.pipeline import JsonOption
from diamond_opus.cli.running import actor, console, output, prepare, run_async
from diamond_opus.cli.serving import check_schema
from diamond_opus.db.pool import Connection, connect
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.keys.api_keys import ApiKey, create_key, list_keys, revoke_key
from diamond_opus.keys.permissions import InvalidKey, Permission, parse_permissions
from diamond_opus.settings import Settings
from diamond_opus.wiring import open_database

keys = typer.Typer(help="API keys: who may ask, and for what.", no_args_is_help=True)

_PERIOD = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@keys.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Whose key it is; the audit log shows it.")],
    permissions: Annotated[
        str,
        typer.Option(
            "--permissions",
            help="Of read, cost, trade, admin, with commas between. trade holds read, admin holds all.",
        ),
    ] = Permission.READ.value,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="30d", help="Hours, days or weeks: 12h, 30d, 8w. Else never."),
    ] = None,
) -> None:
    """Make a key and print it: the only time it can be seen."""
    settings = prepare("keys", quiet=True)
    now = datetime.now(UTC)
    expires_at = None if expires is None else now + parse_period(expires)
    wanted = parse_permission_list(permissions)
    key, stored = run_async(_create(settings, name, wanted, expires_at, now))
    until = f"until {stored.expires_at:%Y-%m-%d %H:%M} UTC" if stored.expires_at else "without an end"
    console.print(
        f"Key {stored.id} of {stored.client_name} ({_words(stored)}), valid {until}. "
        "The key itself is not stored and not shown again:",
        highlight=False,
        markup=False,
    )
    print(key)


async def _create(
    settings: Settings, name: str, permissions: Sequence[str], expires_at: datetime | None, now: datetime
) -> tuple[str, ApiKey]:
    async with _connected(settings) as conn:
        return await create_key(
            conn, name=name, permissions=permissions, expires_at=expires_at, actor=actor(), now=now
        )


@keys.command(name="list")
def list_command(as_json: JsonOption = False) -> None:
    """Every key there ever was, without the keys themselves."""
    known = run_async(_list(prepare("keys", quiet=True)))
    if as_json:
        print(json.dumps([_as_json(key) for key in known]))
        return
    table = Table(title="API keys")
    for column in ("id", "name", "permissions", "state", "created (UTC)", "last used (UTC)", "expires (UTC)"):
        table.add_column(column, overflow="fold")
    now = datetime.now(UTC)
    for key in known:
        table.add_row(
            str(key.id),
            escape(key.client_name),
            _words(key),
            _state(key, now),
            *(
                f"{at:%Y-%m-%d %H:%M}" if at else "never"
                for at in (key.created_at, key.last_used_at, key.expires_at)
            ),
        )
    output.print(table)


async def _list(settings: Settings) -> Sequence[ApiKey]:
    async with _connected(settings) as conn:
        return await list_keys(conn)


@keys.command()
def revoke(key_id: Annotated[UUID, typer.Argument(metavar="ID", help="See: diamond keys list")]) -> None:
    """Make a key useless, for ever and within seconds."""
    key = run_async(_revoke(prepare("keys", quiet=True), key_id))
    console.print(f"Key {key.id} of {key.client_name} is revoked.", highlight=False, markup=False)


async def _revoke(settings: Settings, key_id: UUID) -> ApiKey:
    async with _connected(settings) as conn:
        return await revoke_key(conn, key_id, actor=actor(), now=datetime.now(UTC))


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Connection]:
    """A connection to the configured database, or to the embedded one, with the newest schema."""
    async with open_database(settings) as url:
        await check_schema(settings, url)
        async with await connect(url, application_name="diamond keys") as conn:
            yield conn


def parse_period(text: str) -> timedelta:
    """How long a key lives. Raises ConfigurationError.

    >>> parse_period("30d")
    datetime.timedelta(days=30)
    """
    match = _PERIOD.fullmatch(text.strip().lower())
    if match is None:
        raise ConfigurationError(f"--expires {text!r}: must be hours, days or weeks, such as 12h, 30d or 8w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_permission_list(text: str) -> Sequence[str]:
    """The words between the commas. Raises ConfigurationError for one that is no permission.

    >>> parse_permission_list("trade, read")
    ['trade', 'read']
    """
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    try:
        parse_permissions(words)
    except InvalidKey as error:
        raise ConfigurationError(f"--permissions {text!r}: {error}") from error
    return words


def _words(key: ApiKey) -> str:
    return ", ".join(permission for permission in Permission if permission in key.permissions)


def _state(key: ApiKey, now: datetime) -> str:
    if key.is_usable(now):
        return "[green]usable[/]"
    return "[yellow]expired[/]" if key.active else "[red]revoked[/]"


def _as_json(key: ApiKey) -> dict[str, object]:
    return {
        "id": str(key.id),
        "clientName": key.client_name,
        "permissions": [permission for permission in Permission if permission in key.permissions],
        "active": key.active,
        "createdAt": _iso(key.created_at),
        "lastUsedAt": _iso(key.last_used_at),
        "expiresAt": _iso(key.expires_at),
    }


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None
