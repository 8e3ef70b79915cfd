"""A port for those who watch a process: does it live, could it work, and what does it do?

``/health`` answers as long as the process can do anything at all; ``/ready`` as the API's own does; ``/metrics`` is for
Prometheus. Nobody is asked who they are: the port is for the inside.
"""

import asyncio
import socket
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from aiohttp import web

from diamond_opus.api.listener import bind
from diamond_opus.db.migrate import pending
from diamond_opus.monitoring.gauges import answer_scrape
from diamond_opus.observability.logging import get_logger
from diamond_opus.readiness import Readiness, describe
from diamond_opus.settings import Settings
from diamond_opus.wiring import MIGRATION_STEPS, Pipeline

log = get_logger("cli")


@contextmanager
def monitoring_port(settings: Settings) -> Iterator[socket.socket | None]:
    """MONITORING_PORT, taken before anything is started; None where it is not set. Raises ConfigurationError."""
    if settings.monitoring_port is None:
        yield None
        return
    with bind(settings.host, settings.monitoring_port, setting="MONITORING_PORT") as listener:
        yield listener


def monitored_on(
    listener: socket.socket | None, pipeline: Pipeline, stop: asyncio.Event
) -> Sequence[Coroutine[Any, Any, None]]:
    """The part of a process that answers those who watch, where there is a port for it."""
    return () if listener is None else (serve_monitoring(pipeline, listener, stop),)


async def serve_monitoring(pipeline: Pipeline, listener: socket.socket, stop: asyncio.Event) -> None:
    """Until ``stop``."""
    readiness = Readiness(pipeline.pool, partial(pending, steps=MIGRATION_STEPS), pipeline.clock)

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        problems = await readiness.problems()
        return web.json_response(describe(problems), status=503 if any(problems.values()) else 200)

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = await answer_scrape(pipeline.gauges, request.headers.get("Accept"))
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        await stop.wait()
    finally:
        await runner.cleanup()
