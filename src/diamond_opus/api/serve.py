"""How an application is served: the port is taken first, and a stop ends what runs within ten seconds."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from diamond_opus.api.listener import address_of, bind

#: Requests may go on this long after a stop; what is left is cancelled, which takes a moment too.
GRACE_SECONDS = 8


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    stop: asyncio.Event | None = None,
    on_ready: Callable[[str], None] = lambda _url: None,
    listener: socket.socket | None = None,
) -> None:
    """Serve until ``stop`` is set, or for ever; signals are the caller's business.

    ``on_ready`` is called with the URL once requests are answered. Whoever has to know before anything else
    starts that the port is free hands in ``listener``, from ``listener.bind``. Raises ConfigurationError.
    """
    listener = listener or bind(host, port)
    url = address_of(listener)
    server = _Server(_configuration(app), lambda: on_ready(url))
    stopping = asyncio.create_task(_stop_when_set(server, stop)) if stop is not None else None
    try:
        await server.serve(sockets=[listener])
    finally:
        server.stop_listening()
        listener.close()
        if stopping is not None:
            stopping.cancel()


def _configuration(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",  # 0.4 ms less a request than the reader in Python
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Whose X-Forwarded-For counts is decided by TRUSTED_PROXIES, in one place.
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which says when it is ready."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    def stop_listening(self) -> None:
        """When it was cancelled, it did not do so itself: the loop would go on watching a number that the next socket
        gets, and never look at that one.
        """
        for server in getattr(self, "servers", ()):
            server.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _stop_when_set(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True
