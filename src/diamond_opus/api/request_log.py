"""The line of each request in the log, written together with those of its neighbours.

Alone a line takes a busy API 100 microseconds, two thirds of them to fetch code and data that the requests have put out
of the processor's caches; in a row with others it takes 35.
"""

import asyncio
import logging
from contextvars import Context
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from diamond_opus.api.query_string import loggable_query
from diamond_opus.api.routes import PROBES
from diamond_opus.observability.logging import get_logger, in_one_piece

#: What a process that is killed loses of its last requests, and how long who follows the log waits for them.
LATEST_SECONDS = 0.1

log = get_logger(__name__)


class Handled(NamedTuple):
    """A request that is over. ``status`` is 0 when the client went away before there was one."""

    ended_at: datetime
    trace_id: str
    method: str
    path: str
    query_string: bytes
    status: int
    seconds: float
    caller: str | None

    @property
    def level(self) -> int:
        return logging.DEBUG if self.path in PROBES and self.status == HTTPStatus.OK else logging.INFO

    def write(self) -> None:
        log.log(
            self.level,
            "request_handled",
            timestamp=self.ended_at,
            trace_id=self.trace_id,
            method=self.method,
            path=self.path,
            query=loggable_query(self.query_string),
            status=self.status,
            duration_ms=round(self.seconds * 1000, 2),
            caller=self.caller,
        )


class RequestLog:
    """One for each application. Each line is written once, in the order in which the requests ended."""

    def __init__(self) -> None:
        self._waiting: list[Handled] = []
        self._is_closed = False

    def note(self, handled: Handled) -> None:
        """Written within ``LATEST_SECONDS``; what failed is written now, and what waits before it."""
        if not log.isEnabledFor(handled.level):
            return
        self._waiting.append(handled)
        if self._is_closed or handled.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.write()
        elif len(self._waiting) == 1:
            # In a context of its own: the lines are not about the request that is at work now.
            asyncio.get_running_loop().call_later(LATEST_SECONDS, self.write, context=Context())

    def write(self) -> None:
        """All that wait."""
        waiting, self._waiting = self._waiting, []
        with in_one_piece():
            for handled in waiting:
                handled.write()

    def close(self) -> None:
        """No timer comes any more: write what waits, and from now on what is noted at once."""
        self._is_closed = True
        self.write()
