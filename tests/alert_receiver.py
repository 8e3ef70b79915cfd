"""A provider that answers as a test tells it to: a real HTTP server on loopback, in threads of its own.

``ALERT_URLS=json://127.0.0.1:PORT/`` (``alert_url``) leads to it.
"""

import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

#: A status, or how it fails: it reads the request and closes, keeps silent until the test is over, or thinks for 5 s.
Reply = int | Literal["closes", "hangs", "slow"]


class Receiver:
    """Answers 200 to whatever is posted, unless ``answer_with`` says otherwise for the next requests."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._replies: deque[Reply] = deque()
        self._always: Reply = 200
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def alert_url(self) -> str:
        return f"json://127.0.0.1:{self.port}/"

    @property
    def titles(self) -> list[str]:
        return [str(message.get("title")) for message in self.received]

    def answer_with(self, *replies: Reply, always: Reply = 200) -> None:
        """The next requests in their order, and ``always`` after them."""
        self._replies = deque(replies)
        self._always = always

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.headers.append(dict(self.headers.items()))
                receiver.received.append(json.loads(body))
                reply = receiver._replies.popleft() if receiver._replies else receiver._always
                if reply == "hangs":
                    receiver._closing.wait()
                if reply == "slow":
                    receiver._closing.wait(5)
                    reply = 200
                if isinstance(reply, int):
                    self.send_response(reply)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                """The test's own output is enough."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
