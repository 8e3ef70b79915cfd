"""What a process that stays needs before it may start: settings that hold, a free port, the schema."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from diamond_opus.api.client_address import ClientAddresses
from diamond_opus.api.listener import bind
from diamond_opus.db.migrate import pending
from diamond_opus.db.pool import connect
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.keys.signatures import HmacClient, parse_hmac_secrets
from diamond_opus.room_settings import check_settings
from diamond_opus.settings import Settings
from diamond_opus.wiring import MIGRATION_STEPS, migrate_database


def check_start(settings: Settings) -> None:
    """Raise ConfigurationError for a value that only its user can read: before anything is started."""
    check_settings(settings)
    hmac_clients(settings)
    ClientAddresses(settings.trusted_proxies)


def hmac_clients(settings: Settings) -> Mapping[str, HmacClient]:
    """Who signs requests. Raises ConfigurationError."""
    return parse_hmac_secrets(settings.hmac_secrets.get_secret_value() if settings.hmac_secrets else None)


def is_port_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    try:
        bind(host, port).close()
    except ConfigurationError:
        return False
    return True


async def ensure_schema(url: str) -> None:
    """Apply what is pending. Where nothing is, nothing is written: such a start needs no right to change the schema."""
    async with await connect(url, application_name="diamond migrate") as conn:
        missing = await pending(conn, steps=MIGRATION_STEPS)
    if missing:
        await migrate_database(url)


async def check_schema(settings: Settings, url: str) -> None:
    """For commands that look or put right: they complete the embedded server's schema, and nobody else's.

    Raises ConfigurationError when migrations are pending on a configured server: looking must not change it.
    """
    if settings.server_url is None:
        await ensure_schema(url)
        return
    async with await connect(url, application_name="diamond") as conn:
        missing = await pending(conn, steps=MIGRATION_STEPS)
    if missing:
        raise ConfigurationError(
            f"the database lacks {len(missing)} migrations ({', '.join(missing)}); apply them with: diamond db migrate"
        )


async def run_together(stop: asyncio.Event, *parts: Coroutine[Any, Any, Any]) -> None:
    """Run all parts until ``stop`` or until one ends, stop the others in good order, then raise the first error."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
