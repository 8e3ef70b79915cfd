"""A real server on loopback: it takes its port first, says when it is ready, and stops within its time."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from api_support import make_pipeline
from starlette.types import ASGIApp, Receive, Scope, Send

from diamond_opus.api.app import create_app
from diamond_opus.api.dependencies import ApiDependencies
from diamond_opus.api.listener import address_of, bind
from diamond_opus.api.serve import serve
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.domain.errors import ConfigurationError


class SlowApp:
    """Answers once it is released; tells when a request has arrived, and whether it was cancelled."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.arrived.set()
        await self.released.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Task[None]]]:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop=stop, on_ready=ready.set_result))
    try:
        yield await ready, stop, serving
    finally:
        stop.set()
        await serving


async def test_it_is_ready_on_a_free_port_and_a_stop_ends_it() -> None:
    app = SlowApp()
    app.released.set()
    async with served(app) as (url, stop, serving), httpx2.AsyncClient() as client:
        answer = await client.get(url)
        stop.set()
        await serving

        assert answer.text == "done"
        with pytest.raises(httpx2.ConnectError):
            await client.get(url)


async def test_a_request_that_has_begun_is_answered_before_the_end() -> None:
    app = SlowApp()
    async with served(app) as (url, stop, serving), httpx2.AsyncClient() as client:
        asking = asyncio.create_task(client.get(url))
        await app.arrived.wait()
        stop.set()
        app.released.set()

        assert (await asking).text == "done"
        await serving


async def test_what_never_ends_is_cancelled_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diamond_opus.api.serve.GRACE_SECONDS", 0.2)
    app = SlowApp()
    async with served(app) as (url, stop, serving), httpx2.AsyncClient() as client:
        asking = asyncio.create_task(client.get(url))
        await app.arrived.wait()
        stop.set()
        await serving

        assert not app.released.is_set()
        with pytest.raises(httpx2.HTTPError):
            (await asking).raise_for_status()


async def test_who_listens_after_a_cancelled_server_is_heard() -> None:
    """Sockets are numbered anew from the lowest free number, which was the cancelled server's."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    listener = bind("127.0.0.1", 0)
    number = listener.fileno()
    serving = asyncio.create_task(
        serve(SlowApp(), "127.0.0.1", 0, listener=listener, on_ready=ready.set_result)
    )
    await ready
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    next_one = bind("127.0.0.1", 0)
    assert next_one.fileno() == number
    heard = asyncio.Event()

    def hear(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.set()
        writer.close()

    async with await asyncio.start_server(hear, sock=next_one):
        _, writer = await asyncio.open_connection(*next_one.getsockname())
        await asyncio.wait_for(heard.wait(), 5)
        writer.close()
        await writer.wait_closed()


async def test_a_port_in_use_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port} is in use; choose another with PORT="):
            await serve(SlowApp(), "127.0.0.1", port)


async def test_a_port_taken_beforehand_is_served() -> None:
    listener = bind("127.0.0.1", 0)
    stop, app = asyncio.Event(), SlowApp()
    app.released.set()
    serving = asyncio.create_task(serve(app, "ignored", 0, stop=stop, listener=listener))
    async with httpx2.AsyncClient() as client:
        assert (await client.get(address_of(listener))).text == "done"
    stop.set()
    await serving


@pytest.mark.parametrize("host", ["no such host", "192.0.2.1"])
def test_a_host_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST"):
        bind(host, 0)


async def test_signals_stay_the_callers_business() -> None:
    before = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    async with served(SlowApp()):
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


HOSTILE = [
    b"",
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /api/v2/diamonds HTTP/1.1\r\nHost: x\r\nX-API-Key: " + b"A" * 200_000 + b"\r\n\r\n",
    b"GET /api/v2/diamonds?shape=%00%ff%zz HTTP/1.1\r\nHost: x\r\nX-API-Key: \xff\xfe\r\n\r\n",
    b"GET /%ff%00%2e%2e HTTP/1.1\r\nHost: x\r\nX-Trace-Id: \xe9\r\n\r\n",
    b"GET http://elsewhere/api/v2/diamonds HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /api/v2/diamonds HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v2/diamonds HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /api/v2/diamonds HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /api/v2/diamonds HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
    b"GET /api/v2/diamonds HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET /api/v2/diamonds HTTP/1.1\r\nHost: x\r\nX-Client-Id: __class__\r\nX-Timestamp: NaN\r\n\r\n",
]


async def exchange(url: str, data: bytes) -> bytes:
    """What a server answers to these very bytes; a server may also hang up on who sends too much."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx2.URL(url).port)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_invariant_10_whatever_arrives_on_a_socket_the_next_request_is_served(
    pool: Pool, clock: ManualClock
) -> None:
    app = create_app(
        ApiDependencies(pool=pool, clock=clock, version="1", pipeline=make_pipeline(pool, clock))
    )
    async with served(app) as (url, _stop, _serving), httpx2.AsyncClient() as client:
        for data in HOSTILE:
            answer = await exchange(url, data)

            assert not answer.startswith(b"HTTP/1.1 5"), data[:80]
            assert (await client.get(f"{url}/health")).status_code == 200, data[:80]
