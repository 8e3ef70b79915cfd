"""A way to PostgreSQL that can be cut, deadened, slowed, and that can meddle with a chosen statement.

It reads as much of the protocol as it must to see which statement a message carries: Query and Parse messages of the
client. All else passes as it comes.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

#: Requests that come before the protocol proper: for TLS, for GSS, and to cancel a statement.
_TLS, _GSS, _CANCEL = 80877103, 80877104, 80877102
_PIECE = 1 << 16


class Act(Enum):
    """What is done to a statement, or to the line it came on."""

    CUT_BEFORE = auto()  # the server never sees it, and the connection breaks
    CUT_AFTER = auto()  # the server does it, and the answer never arrives: a commit in doubt
    FAIL = auto()  # the server refuses it with an SQLSTATE, and its transaction with it
    HOLD = auto()  # the line stands still before it, and it arrives when that is released
    PASS = auto()  # nothing but the call of ``Rule.then``


@dataclass(slots=True)
class Rule:
    """Meddle with the ``nth`` statement that contains ``fragment``, and with ``times`` - 1 after it; then call back."""

    fragment: str
    act: Act
    nth: int = 1
    times: int = 1
    sqlstate: str = "40001"
    then: "Callable[[Line], None] | None" = None
    seen: int = field(default=0, init=False)
    done: int = field(default=0, init=False)

    def strikes(self, statement: bytes) -> bool:
        if self.done >= self.times or self.fragment.encode() not in statement:
            return False
        self.seen += 1
        if self.seen < self.nth:
            return False
        self.done += 1
        return True


@dataclass(slots=True)
class Weather:
    """What befalls every line under it: later arrival, and an SQLSTATE for statements with one of these fragments."""

    delay_seconds: float = 0.0
    sqlstate: str = ""
    refused: Sequence[str] = ()
    rules: list[Rule] = field(default_factory=list)

    def refuses(self, statement: bytes) -> bool:
        return any(fragment.encode() in statement for fragment in self.refused)


class Line:
    """One process's own address of the server; ``url`` is what that process is given."""

    def __init__(self, url: str, weather: Weather | None = None) -> None:
        self._target = conninfo_to_dict(url)
        self._url = url
        self._connections: set[_Connection] = set()
        self._abandoned: list[_ServerSide] = []
        self._server: asyncio.Server | None = None
        self.url = ""
        self.weather = weather or Weather()
        self.is_cut = False
        self.is_held = False
        self.has_ended = False

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = make_conninfo(self._url, host="127.0.0.1", port=port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.drop()
        for side in self._abandoned:
            side.abort()
        await asyncio.sleep(0)

    @property
    def server(self) -> tuple[str, int]:
        return str(self._target["host"]), int(str(self._target["port"]))

    def drop(self) -> None:
        """Break every connection there is; new ones may come."""
        for connection in list(self._connections):
            connection.close()

    def cut(self) -> None:
        """Break every connection, and let none in until ``mend``."""
        self.is_cut = True
        self.drop()

    def mend(self) -> None:
        self.is_cut = False

    def hold(self) -> None:
        """Nothing passes, either way, and nothing breaks: as when the process is suspended."""
        self.is_held = True

    def release(self) -> None:
        """All that was held passes now, late."""
        self.is_held = False
        for connection in list(self._connections):
            connection.pass_held()

    def end(self) -> None:
        """The process at this end is gone: nothing of it arrives any more, whatever else happens."""
        self.has_ended = True
        self.drop()

    def deaden(self) -> None:
        """What is connected now stays open and carries nothing any more; new connections live.

        The server never learns that its client is gone: it waits, with the locks it gave it.
        """
        for connection in self._connections:
            connection.is_dead = True

    def vanish(self) -> None:
        """The machine at this end is gone: nothing of it arrives any more, and the server is not told."""
        self.deaden()
        self.end()


class _Connection(asyncio.Protocol):
    """The client's side of one connection."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._client: asyncio.Transport | None = None
        self._server: _ServerSide | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._waiting = bytearray()  # what the client sent before the server was reached
        self._held = bytearray()  # what the client sent while its line was held
        self._held_answers = bytearray()
        self._message = bytearray()  # a message that has not come whole
        self._passing = 0  # bytes left of a long message that is passed on as it comes
        self._has_begun = False
        self._skips_to_sync = False
        self._late = 0
        self._due = 0.0
        self.is_dead = False
        self.cuts_at_answer = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._client = transport
        if self._line.is_cut or self._line.has_ended:
            transport.abort()
            return
        self._line._connections.add(self)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, self._server = await loop.create_connection(lambda: _ServerSide(self), *self._line.server)
        except OSError:
            self.close()
            return
        waiting, self._waiting = bytes(self._waiting), bytearray()
        if waiting:
            self.data_received(waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()

    def close(self) -> None:
        self._line._connections.discard(self)
        if self._connecting is not None:
            self._connecting.cancel()
        if self._client is not None:
            self._client.abort()
        if self._server is not None and self.is_dead:
            self._line._abandoned.append(self._server)
        elif self._server is not None:
            self._server.abort()
        self._server = None

    def pause_writing(self) -> None:
        if self._server is not None:
            self._server.pause()

    def resume_writing(self) -> None:
        if self._server is not None:
            self._server.resume()

    def data_received(self, data: bytes) -> None:
        if self._line.is_held:
            self._held += data
        elif self._server is None:
            self._waiting += data
        elif not self.is_dead:
            delay = self._line.weather.delay_seconds
            if delay or self._late:
                self._delay(data, delay)
            else:
                self._take(data)

    def pass_held(self) -> None:
        sent, self._held = bytes(self._held), bytearray()
        answers, self._held_answers = bytes(self._held_answers), bytearray()
        if sent:
            self.data_received(sent)
        if answers:
            self.answer(answers)

    def _delay(self, data: bytes, seconds: float) -> None:
        """In the order in which it came, also when the weather clears meanwhile."""
        self._late += 1

        def arrive() -> None:
            self._late -= 1
            self._take(data)

        loop = asyncio.get_running_loop()
        self._due = max(self._due, loop.time() + seconds)
        loop.call_at(self._due, arrive)

    def _take(self, data: bytes) -> None:
        if self._passing:
            passed = data[: self._passing]
            self._passing -= len(passed)
            self._send(passed)
            data = data[len(passed) :]
        self._message += data
        while self._message and not (self.is_dead or self._line.is_held) and self._next_message():
            pass

    def _next_message(self) -> bool:
        """Handle the message at the front, if enough of it has come."""
        message = self._message
        head = 5 if self._has_begun else 4
        if len(message) < head:
            return False
        length = int.from_bytes(message[head - 4 : head], "big") + head - 4
        if not self._has_begun:
            if len(message) < max(8, length):
                return False
            self._begin(bytes(message[:length]))
            del message[:length]
            return True
        kind = bytes(message[:1])
        if kind not in b"QPS":  # only those are looked at, whole; rows of a COPY pass as they come
            passed = bytes(message[:length])
            self._passing = length - len(passed)
            del message[: len(passed)]
            if not self._skips_to_sync:
                self._send(passed)
            return True
        if len(message) < length:
            return False
        whole = bytes(message[:length])
        del message[:length]
        self._judge(kind, whole)
        return True

    def _begin(self, packet: bytes) -> None:
        code = int.from_bytes(packet[4:8], "big")
        if code in (_TLS, _GSS):
            assert self._client is not None
            self._client.write(b"N")
            return
        self._has_begun = True
        self._send(packet)

    def _judge(self, kind: bytes, whole: bytes) -> None:
        if self._skips_to_sync:
            self._skips_to_sync = kind != b"S"
            return
        if kind == b"S":
            self._send(whole)
            return
        statement, weather = whole[5:], self._line.weather
        if weather.refuses(statement):
            self._fail(kind, weather.sqlstate)
            return
        struck = [rule for rule in weather.rules if rule.strikes(statement)]  # each counts every statement
        if struck:
            self._meddle(struck[0], kind, whole)
        else:
            self._send(whole)

    def _meddle(self, rule: Rule, kind: bytes, whole: bytes) -> None:
        if rule.act is Act.CUT_BEFORE:
            self.close()
        elif rule.act is Act.FAIL:
            self._fail(kind, rule.sqlstate)
        elif rule.act is Act.HOLD:
            self._line.hold()
            self._held += whole + self._message
            self._message.clear()
        else:
            self._send(whole)
            self.cuts_at_answer = rule.act is Act.CUT_AFTER
        if rule.then is not None:
            rule.then(self._line)

    def _fail(self, kind: bytes, sqlstate: str) -> None:
        """Send a statement in its place that fails for certain: the server itself aborts the transaction."""
        body = f"DO $$ BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '{sqlstate}'; END $$\0".encode()
        self._send(b"Q" + (len(body) + 4).to_bytes(4, "big") + body)
        self._skips_to_sync = kind == b"P"

    def _send(self, data: bytes) -> None:
        if self._server is not None and data:
            self._server.write(data)

    def answer(self, data: bytes) -> None:
        if self.cuts_at_answer:
            self.close()
        elif self._line.is_held:
            self._held_answers += data
        elif not self.is_dead and self._client is not None:
            self._client.write(data)


class _ServerSide(asyncio.Protocol):
    """The other half: what the server says goes to the client."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._connection.answer(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._connection.is_dead:
            self._connection.close()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()
