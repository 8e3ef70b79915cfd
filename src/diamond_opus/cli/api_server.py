"""The API as a part of a process: what it is given, its index, its server.

Only who serves imports this, and only then: the web framework takes a third of the time in which a command starts.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from diamond_opus.api.app import create_app
from diamond_opus.api.dependencies import ApiDependencies
from diamond_opus.api.operators import ended_with
from diamond_opus.api.rate_limits import RateLimits
from diamond_opus.api.serve import serve
from diamond_opus.cli.serving import hmac_clients
from diamond_opus.db.migrate import pending
from diamond_opus.wiring import MIGRATION_STEPS, Pipeline, pool_of


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
