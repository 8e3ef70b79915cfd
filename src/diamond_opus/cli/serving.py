"""What a process that stays needs before it may start: settings that hold, a free port, the schema, the API's parts."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from diamond_opus.api.app import create_app
from diamond_opus.api.client_address import ClientAddresses
from diamond_opus.api.dependencies import ApiDependencies
from diamond_opus.api.operators import ended_with
from diamond_opus.api.rate_limits import RateLimits
from diamond_opus.api.serve import bind, serve
from diamond_opus.db.migrate import pending
from diamond_opus.db.pool import connect
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.keys.signatures import HmacClient, parse_hmac_secrets
from diamond_opus.settings import Settings
from diamond_opus.wiring import MIGRATION_STEPS, Pipeline, check_settings, migrate_database, pool_of


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


@asynccontextmanager
async def api_dependencies(pipeline: Pipeline, url: str) -> AsyncIterator[ApiDependencies]:
    """The API's parts, with a pool of its own: bulk work beside it never makes a search wait for a connection."""
    settings = pipeline.settings
    async with pool_of(settings, url, application_name="diamond api", max_size=settings.pg_pool_max) as pool:
        yield ApiDependencies(
            pool=pool,
            pipeline=pipeline,
            version=version("diamond-opus"),
            hmac_clients=hmac_clients(settings),
            cors_origins=settings.cors_origins,
            trusted_proxies=settings.trusted_proxies,
            statement_timeout_ms=settings.api_statement_timeout_ms,
            rate_limits=RateLimits(
                read_per_minute=settings.rate_limit_read_per_minute,
                trade_per_minute=settings.rate_limit_trade_per_minute,
                admin_per_minute=settings.rate_limit_admin_per_minute,
            ),
            pending_migrations=partial(pending, steps=MIGRATION_STEPS),
        )


#: Two are kept by what the index lends, a third follows.
_INDEX_CONNECTIONS = 3


async def serve_api(
    pipeline: Pipeline,
    url: str,
    listener: socket.socket,
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Serve on ``listener`` until ``stop``; ``on_ready`` gets the API's address."""
    settings = pipeline.settings
    async with (
        api_dependencies(pipeline, url) as dependencies,
        pool_of(settings, url, application_name="diamond index", max_size=_INDEX_CONNECTIONS) as index_pool,
    ):
        app = create_app(dependencies)
        indexing = asyncio.create_task(dependencies.catalog.run(index_pool, stop))
        try:
            async with ended_with(app, stop):
                await serve(
                    app, settings.host, settings.port, stop=stop, on_ready=on_ready, listener=listener
                )
        finally:
            indexing.cancel()
            await asyncio.gather(indexing, return_exceptions=True)


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
