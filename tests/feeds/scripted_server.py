"""A supplier that says exactly what a test tells it to, over real HTTP on loopback."""

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from aiohttp import web

Ending = Literal["whole", "truncated", "none", "silence", "endless", "trickle"]


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is sent as it is when it is bytes, else as JSON.

    A "truncated" answer breaks off after its half, "none" closes the connection at once, and "silence" keeps
    it open without a word. An "endless" one repeats its content for ever without telling its length, a "trickle"
    sends a byte of it every tenth of a second.
    """

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    ending: Ending = "whole"

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived: when, on the monotonic clock, and from which end of which connection."""

    operation: str
    variables: Mapping[str, Any]
    token: str | None
    headers: Mapping[str, str]
    at: float
    peer: Any


Script = Answer | Callable[[Seen], Answer]


class ScriptedSupplier:
    """Gives the scripted answers in their order, and a new token to each login unless logins are scripted too."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._answers: deque[Script] = deque()
        self._logins: deque[Script] = deque()
        self._tokens = 0
        self.bytes_sent = 0  # of answers that are sent bit by bit
        self.broken_off = 0  # how many of those the asker did not read to their end
        self._closing = asyncio.Event()
        self._arrival = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.base_url = ""
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/api/diamonds", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        self.url = f"{self.base_url}/api/diamonds"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def then(self, *answers: Script) -> None:
        self._answers.extend(answers)

    def then_login(self, *answers: Script) -> None:
        self._logins.extend(answers)

    async def has_seen(self, operation: str) -> None:
        """Wait until a request for ``operation`` came."""
        async with self._arrival:
            await self._arrival.wait_for(lambda: operation in self.asked)

    @property
    def asked(self) -> Sequence[str]:
        """The operations in the order in which they came."""
        return [seen.operation for seen in self.seen]

    @property
    def queries(self) -> Sequence[Mapping[str, Any]]:
        """The DiamondQuery of each request that had one."""
        return [seen.variables["query"] for seen in self.seen if "query" in seen.variables]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        seen = _read(await request.json(), request.headers, peer)
        async with self._arrival:
            self.seen.append(seen)
            self._arrival.notify_all()
        script = self._next(seen)
        answer = script(seen) if callable(script) else script
        if answer.ending == "whole":
            return web.Response(body=answer.content, status=answer.status, headers=answer.headers)
        if answer.ending == "silence":
            await self._closing.wait()
        if answer.ending in ("endless", "trickle"):
            return await self._send_bit_by_bit(request, answer)
        return await _break_off(request, answer)

    async def _send_bit_by_bit(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        try:
            await response.prepare(request)
            if answer.ending == "trickle":
                for position in range(len(answer.content)):
                    await response.write(answer.content[position : position + 1])
                    self.bytes_sent += 1
                    await asyncio.sleep(0.1)
            while answer.ending == "endless":
                await response.write(answer.content)
                self.bytes_sent += len(answer.content)
        except OSError:
            self.broken_off += 1
        return response

    def _next(self, seen: Seen) -> Script:
        if seen.operation == "Login":
            if self._logins:
                return self._logins.popleft()
            self._tokens += 1
            return login_answer(f"token-{self._tokens}")
        if not self._answers:
            return error_answer(f"the script has no answer to this {seen.operation}", status=400)
        return self._answers.popleft()


def login_answer(token: str) -> Answer:
    return Answer({"data": {"authenticate": {"username_and_password": {"token": token}}}})


def count_answer(count: int | None) -> Answer:
    return Answer({"data": {"diamonds_by_query_count": count}})


def page_answer(items: Sequence[Any] | None, errors: Sequence[Any] | None = None) -> Answer:
    body: dict[str, Any] = {"data": {"diamonds_by_query": {"items": items}}}
    return Answer(body if errors is None else {**body, "errors": list(errors)})


def raw_page_answer(*items: bytes) -> Answer:
    """A page whose items are sent as these very bytes."""
    return Answer(b'{"data":{"diamonds_by_query":{"items":[' + b",".join(items) + b"]}}}")


def error_answer(message: str, *, status: int = 200, code: str | None = None) -> Answer:
    error = {"message": message} if code is None else {"message": message, "extensions": {"code": code}}
    return Answer({"errors": [error], "data": None}, status=status)


def _read(body: Mapping[str, Any], headers: Mapping[str, str], peer: Any) -> Seen:
    name = re.match(r"(?:query|mutation) (\w+)", body["query"])
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return Seen(
        operation=name[1] if name else "",
        variables=body["variables"],
        token=token if scheme == "Bearer" else None,
        headers=dict(headers),
        at=time.monotonic(),
        peer=peer,
    )


async def _break_off(request: web.Request, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers={"Content-Length": str(len(answer.content))})
    if answer.ending == "truncated":
        await response.prepare(request)
        await response.write(answer.content[: len(answer.content) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
