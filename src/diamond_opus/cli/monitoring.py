"""A port for those who watch a process that serves nobody: does it live, and could it work?

``/health`` answers as long as the process can do anything at all; ``/ready`` as the API's own does.
"""

import asyncio
import socket
from functools import partial

from aiohttp import web

from diamond_opus.db.migrate import pending
from diamond_opus.observability.logging import get_logger
from diamond_opus.readiness import Readiness, describe
from diamond_opus.wiring import MIGRATION_STEPS, Pipeline

log = get_logger("cli")


async def serve_monitoring(pipeline: Pipeline, listener: socket.socket, stop: asyncio.Event) -> None:
    """Until ``stop``."""
    readiness = Readiness(pipeline.pool, partial(pending, steps=MIGRATION_STEPS), pipeline.clock)

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        problems = await readiness.problems()
        return web.json_response(describe(problems), status=503 if any(problems.values()) else 200)

    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        await stop.wait()
    finally:
        await runner.cleanup()
