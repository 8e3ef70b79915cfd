"""How an application is served: the port is taken first, and a stop ends what runs within ten seconds."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from diamond_opus.domain.errors import ConfigurationError

#: Requests may go on this long after a stop; what is left is cancelled, which takes a moment too.
GRACE_SECONDS = 8


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes any free one. Raises ConfigurationError saying what to change."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise ConfigurationError(f"HOST ({host!r}): {error.strerror}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Only listening tells for sure that nobody else does.
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigurationError(_explain(error, host, port)) from error
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL at which a bound socket is reached."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"


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
    starts that the port is free hands in ``listener``, from :func:`bind`. Raises ConfigurationError.
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


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; choose another with PORT=…"
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user; choose one above 1023 with PORT=…"
    return f"cannot listen on {host}:{port}: {error.strerror}; check HOST and PORT"
