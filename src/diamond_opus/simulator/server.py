"""Serves a simulated supplier over HTTP: as a process, or inside a test."""

import asyncio
import gc
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from diamond_opus.simulator.control import PREFIX, Control
from diamond_opus.simulator.faults import Fault
from diamond_opus.simulator.http import HttpProtocol, Request, Response
from diamond_opus.simulator.settings import (
    API_PATH,
    DEFAULT_HOST,
    DEFAULT_PASSWORD,
    DEFAULT_PORT,
    DEFAULT_USERNAME,
    SimulatorSettings,
)
from diamond_opus.simulator.supplier import Supplier
from diamond_opus.simulator.truth import StoneTruth, truths

__all__ = [
    "API_PATH", "DEFAULT_HOST", "DEFAULT_PASSWORD", "DEFAULT_PORT", "DEFAULT_USERNAME", "Fault", "Simulator",
    "SimulatorSettings", "StoneTruth", "run",
]  # fmt: skip


class Simulator:
    """A supplier listening on loopback: ``async with Simulator(SimulatorSettings(stones=2000)) as sim:
    sim.url``.
    """

    def __init__(self, settings: SimulatorSettings, host: str = DEFAULT_HOST, port: int = 0) -> None:
        self._host = host
        self._port = port
        self.supplier = Supplier(settings)
        self._control = Control(self.supplier)
        self._connections: set[HttpProtocol] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: HttpProtocol(self._handle, self._connections), self._host, self._port
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.close()
            await self._server.wait_closed()

    @property
    def base_url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def url(self) -> str:
        """The GraphQL endpoint."""
        return self.base_url + API_PATH

    @property
    def control_url(self) -> str:
        """The control address, with its last slash."""
        return self.base_url + PREFIX

    def truth(self) -> list[StoneTruth]:
        """Every stone ever listed."""
        return list(truths(self.supplier.inventory))

    def stats(self) -> dict[str, Any]:
        return self._control.stats()

    def churn(self, events: int) -> int:
        """Let so many things happen to the inventory now."""
        return self.supplier.churn.apply(events)

    def set_faults(self, faults: Sequence[Fault]) -> None:
        self.supplier.faults.set(faults)

    def advance(self, seconds: float) -> None:
        """Move the simulator's clock."""
        self.supplier.clock.advance(seconds)

    def _handle(self, request: Request) -> Response:
        if request.path.startswith(PREFIX):
            return self._control.handle(request)
        if request.path != API_PATH:
            return Response(404, b"<!DOCTYPE html><title>Not Found</title>\n", content_type="text/html")
        if request.method != "POST":
            return Response(405, b'{"errors":[{"message":"POST only"}]}', headers={"allow": "POST"})
        return self.supplier.handle(request)


def run(
    settings: SimulatorSettings,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or SIGINT; ``on_ready`` gets the endpoint's URL once connections are accepted.

    Raises OSError when the port cannot be had.
    """
    asyncio.run(_serve(settings, host, port, on_ready, (signal.SIGTERM, signal.SIGINT)))


async def _serve(
    settings: SimulatorSettings,
    host: str,
    port: int,
    on_ready: Callable[[str], None],
    signals: Iterable[signal.Signals],
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in signals:
        with suppress(NotImplementedError):  # an event loop without signals stops by KeyboardInterrupt
            loop.add_signal_handler(each, stopped.set)
    async with Simulator(settings, host, port) as simulator:
        gc.collect()
        gc.freeze()
        on_ready(simulator.url)
        await stopped.wait()
