"""What happens to every request whatever its route: a trace, a log line, safe headers, bounds, and never a crash."""

import asyncio
import re
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diamond_opus.api.answers import answer_error
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.measure import Measured
from diamond_opus.api.request_log import Handled, RequestLog
from diamond_opus.api.routes import PROBES, template_of
from diamond_opus.domain.clock import Clock
from diamond_opus.observability.error_log import record_exception
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.redact import clean_text
from diamond_opus.observability.trace import Trace, new_trace, parse_traceparent
from diamond_opus.observability.tracing import Kind, Span, begin, unrecorded

MOST_BODY_BYTES = 1024 * 1024

_GIVEN_TRACE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_DIGITS = re.compile(r"[0-9]+")
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

log = get_logger(__name__)


class Edge:
    """The outermost layer: every answer, errors included, gets its trace id and safe headers, is logged and measured.

    HEAD is answered as GET without the body.
    """

    def __init__(self, app: ASGIApp, *, clock: Clock, request_log: RequestLog) -> None:
        self._app = app
        self._clock = clock
        self._request_log = request_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace, parent = _trace_of(Headers(scope=scope))
        started = self._clock.monotonic()
        measured = Measured(scope["method"], started)
        scope.setdefault("state", {})["called_method"] = scope["method"]
        is_head = scope["method"] == "HEAD"
        status = 0
        # A copy: the server looks at its own to know that the answer to a HEAD has no body.
        inner = {**scope, "method": "GET"} if is_head else scope

        async def send_finished(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                measured.answered(inner, status, self._clock.monotonic())
                headers = MutableHeaders(scope=message)
                headers["X-Trace-Id"] = trace.trace_id
                for name, value in (
                    *_SAFE_HEADERS.items(),
                    *scope["state"].get("answer_headers", {}).items(),
                ):
                    headers.setdefault(name, value)
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        with _recorded(scope, trace, parent) as recorded:
            try:
                await self._app(inner, receive, send_finished)
            finally:
                ended = self._clock.monotonic()
                measured.ended(inner, ended)
                _describe(recorded, inner, status)
                self._request_log.note(
                    Handled(
                        self._clock.now(),
                        trace.trace_id,
                        scope["method"],
                        scope["path"],
                        scope["query_string"],
                        status,
                        ended - started,
                        scope["state"].get("caller_name"),
                    )
                )


class Guard:
    """The innermost layer: bounds the body, and turns what nobody handled into a 500 that tells nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announces_too_much(Headers(scope=scope).get("content-length", "")):
            refusal = _too_large()
            response = answer_error(refusal.status_code, refusal.code, refusal.detail, hint=refusal.hint)
            await response(scope, receive, send)
            return
        has_started = False

        async def send_noting(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, _bounded(receive), send_noting)
        except asyncio.CancelledError:
            # The server stops and waits no longer; what the route had begun is rolled back.
            if has_started:
                raise
            response = answer_error(
                503,
                ErrorCode.SERVICE_UNAVAILABLE,
                "the service is being restarted; this request was not finished",
                hint="Send it again in a moment.",
                headers={"Retry-After": "5"},
            )
            await response(scope, receive, send)
        except Exception as error:
            log.exception("request_failed", method=scope["method"], path=scope["path"])
            if has_started:
                raise  # half an answer is out: only a broken connection tells the client so
            response = answer_error(
                500, ErrorCode.INTERNAL_ERROR, "an unexpected error happened; it was recorded"
            )
            await response(scope, receive, send)
            await _record(scope, error)


def _trace_of(headers: Headers) -> tuple[Trace, Trace | None]:
    """The request's own place, and the caller's that it belongs to, if there is one."""
    given = headers.get("x-trace-id", "")
    if _GIVEN_TRACE_ID.fullmatch(given) and clean_text(given) == given:  # no key in the wrong header
        return new_trace(given), None
    parent = parse_traceparent(headers.get("traceparent"))
    return (parent.child() if parent else new_trace()), parent


def _recorded(scope: Scope, trace: Trace, parent: Trace | None) -> AbstractContextManager[Span]:
    if scope["path"] in PROBES:
        return unrecorded(trace)
    method = scope["method"]
    return begin(trace, method, Kind.SERVER, {"http.request.method": method}, parent=parent)


def _describe(recorded: Span, scope: Scope, status: int) -> None:
    """By the route's template: paths hold ids, and names of spans must be few."""
    route = template_of(scope)
    if route is not None:
        recorded.rename(f"{scope['state']['called_method']} {route}")
    recorded.set({"http.route": route, "http.response.status_code": status or None})
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        recorded.fail(str(status))


def _announces_too_much(length: str) -> bool:
    return _DIGITS.fullmatch(length) is not None and (len(length) > 15 or int(length) > MOST_BODY_BYTES)


def _bounded(receive: Receive) -> Receive:
    """``receive`` for a body that did not say how long it is, or lied."""
    total = 0

    async def receive_bounded() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MOST_BODY_BYTES:
            raise _too_large()
        return message

    return receive_bounded


def _too_large() -> ApiError:
    return ApiError(
        413,
        ErrorCode.PAYLOAD_TOO_LARGE,
        "the body is larger than 1 MB",
        hint=f"Send at most {MOST_BODY_BYTES} bytes.",
    )


async def _record(scope: Scope, error: Exception) -> None:
    """One row for the operator's list of errors, after the client has its answer."""
    pool: Any = Request(scope).app.state.dependencies.pool
    context = {"method": scope["method"], "path": scope["path"]}
    await record_exception(pool, error, service="api", context=context)
