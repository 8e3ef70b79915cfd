"""Whatever goes wrong, the answer is JSON, says what to do, carries its trace id, and tells nothing it should not."""

import asyncio
import io
import logging
import re
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
from api_support import SEARCH, Api, open_api
from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse
from structlog.testing import capture_logs

from diamond_opus.api.middleware import MOST_BODY_BYTES
from diamond_opus.api.schemas import Error
from diamond_opus.db.pool import Pool, open_pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.domain.errors import Retryable
from diamond_opus.observability.logging import configure_logging

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
async def api(pool: Pool, clock: ManualClock) -> AsyncIterator[Api]:
    async with open_api(pool, clock) as opened:
        yield opened


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What an operator would see."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging(service="api", stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def fail_with(api: Api, error: Exception) -> str:
    """The path of a route that fails so."""

    async def fail() -> Response:
        raise error

    api.app.router.add_api_route("/test/fail", fail)
    return "/test/fail"


async def test_an_unknown_route_is_not_found(api: Api) -> None:
    for path in (
        "/nothing",
        "/api/v2/nothing",
        "/api/v2/diamonds/",
        "/api-docs/../secrets",
        "/api-docs/index.html",
    ):
        answer = await api.client.get(path)

        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
        assert answer.json()["error"]["traceId"] == answer.headers["x-trace-id"]


async def test_a_wrong_method_is_told_the_right_one(api: Api) -> None:
    answer = await api.client.delete(SEARCH)

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"
    assert answer.json()["error"]["details"] == {"allowed": ["GET", "HEAD"]}
    watermark = await api.client.post("/api/v2/analytics/watermark")
    assert watermark.headers["allow"] == "GET, HEAD, PUT"


async def test_every_error_says_where_it_is_explained(api: Api) -> None:
    key = await api.key()
    refused = [
        await api.client.get("/nothing"),
        await api.client.delete(SEARCH),
        await api.client.get(SEARCH),
        await api.client.get(SEARCH, params={"shpe": "ROUND"}, headers=key),
        await api.client.get(SEARCH, params={"cost_min": "1"}, headers=key),
        await api.client.get(f"{SEARCH}/{uuid4()}", headers=key),
        await api.client.post("/nothing", content=b"x" * (MOST_BODY_BYTES + 1)),
        await api.client.get(fail_with(api, Retryable("busy"))),
    ]

    codes = []
    for answer in refused:
        Error.model_validate(answer.json())
        error = answer.json()["error"]
        assert error["hint"].endswith(f"See docs/errors.md#{error['code'].lower()}.")
        codes.append(error["code"])
    assert codes == [
        "NOT_FOUND", "METHOD_NOT_ALLOWED", "UNAUTHORIZED", "VALIDATION_ERROR", "FORBIDDEN", "DIAMOND_NOT_FOUND",
        "PAYLOAD_TOO_LARGE", "SERVICE_UNAVAILABLE",
    ]  # fmt: skip


async def test_an_unexpected_error_tells_its_trace_id_and_nothing_else(api: Api) -> None:
    path = fail_with(api, RuntimeError("the driver said hunter2"))

    with capture_logs() as lines:
        answer = await api.client.get(
            path, headers={"X-Trace-Id": "my-trace-1", "Origin": "https://shop.example"}
        )

    assert answer.status_code == 500
    assert answer.json() == {
        "error": {
            "code": "INTERNAL_ERROR",
            "message": "an unexpected error happened; it was recorded",
            "hint": "See docs/errors.md#internal_error.",
            "traceId": "my-trace-1",
        }
    }
    assert answer.headers["access-control-allow-origin"] == "*"
    [failure] = [line for line in lines if line["event"] == "request_failed"]
    assert failure["exc_info"]
    async with api.pool.connection() as conn:
        cursor = await conn.execute("SELECT service, error_message, stack_trace, context FROM error_logs")
        service, message, stack, context = (await cursor.fetchall())[0]
    assert (service, message) == ("api", "RuntimeError: the driver said hunter2")
    assert "Traceback" in stack
    assert context == {"method": "GET", "path": "/test/fail", "traceId": "my-trace-1"}


async def test_a_mistake_in_our_sql_shows_no_driver_text(api: Api) -> None:
    headers = await api.key()
    await api.execute("ALTER TABLE diamonds RENAME COLUMN shape TO form")

    answer = await api.client.get(SEARCH, headers=headers)

    assert answer.status_code == 500
    assert "shape" not in answer.text
    assert "column" not in answer.text


async def test_a_statement_that_takes_too_long_is_unavailable_with_advice(
    pool: Pool, clock: ManualClock
) -> None:
    async with open_api(pool, clock, statement_timeout_ms=50) as api:
        headers = await api.key()
        async with pool.connection() as conn, conn.transaction():
            await conn.execute("LOCK TABLE diamonds IN ACCESS EXCLUSIVE MODE")
            answer = await api.client.get(SEARCH, headers=headers)
        afterwards = await api.client.get(SEARCH, headers=headers)

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert "Narrow it" in answer.json()["error"]["hint"]
    assert int(answer.headers["retry-after"]) > 0
    assert afterwards.status_code == 200


async def test_a_database_that_is_away_is_unavailable_for_a_while(clock: ManualClock) -> None:
    async with away() as pool, open_api(pool, clock, connection_timeout_seconds=0.5) as api:
        answer = await api.client.get(SEARCH, headers={"X-API-Key": "dk_" + "A" * 43})
        alive = await api.client.get("/health")

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in answer.text
    assert alive.status_code == 200


async def test_a_connection_lost_in_the_middle_is_unavailable(api: Api) -> None:
    headers = await api.key()
    async with api.pool.connection() as conn, conn.transaction():
        await conn.execute("LOCK TABLE diamonds IN ACCESS EXCLUSIVE MODE")
        asking = asyncio.create_task(api.client.get(SEARCH, headers=headers))
        await end_the_session_that_waits(api.pool)
        answer = await asking

    assert answer.status_code == 503
    assert (await api.client.get(SEARCH, headers=headers)).status_code == 200


async def end_the_session_that_waits(pool: Pool) -> None:
    async with pool.connection() as conn:
        ended = None
        while not ended:
            cursor = await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            ended = await cursor.fetchone()


async def test_another_services_wish_is_passed_on(api: Api) -> None:
    answer = await api.client.get(
        fail_with(api, Retryable("the supplier is busy: secret", retry_after_seconds=12.3))
    )

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "13")
    assert "secret" not in answer.text


def chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 65_536


class Offer(BaseModel):
    price_cents: int


@pytest.mark.parametrize(
    ("content", "parameter"),
    [
        (b"{", "body"),
        (b'{"price_cents": "much"}', "price_cents"),
        (b"{}", "price_cents"),
        (b"[]", "body"),
        (b"", "body"),
    ],
)
async def test_a_malformed_body_is_told_where(api: Api, content: bytes, parameter: str) -> None:
    async def offer(_offer: Offer) -> dict[str, str]:
        return {}

    api.app.router.add_api_route("/test/offer", offer, methods=["POST"])
    answer = await api.client.post(
        "/test/offer", content=content, headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    [problem] = answer.json()["error"]["details"]
    assert problem["parameter"] == parameter
    assert problem["message"]


async def test_an_answer_that_breaks_off_half_way_breaks_the_connection(api: Api) -> None:
    async def stream() -> StreamingResponse:
        async def rows() -> AsyncIterator[bytes]:
            yield b"[1,"
            raise RuntimeError("the database went away")

        return StreamingResponse(rows())

    api.app.router.add_api_route("/test/stream", stream)

    with pytest.raises(RuntimeError, match="went away"):
        await api.client.get("/test/stream")


async def test_a_body_over_one_megabyte_is_refused_whether_announced_or_not(api: Api) -> None:
    async def read(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    api.app.router.add_api_route("/test/read", read, methods=["POST"])

    async def unannounced(count: int) -> AsyncIterator[bytes]:
        for chunk in chunks(count):
            yield chunk

    announced: Any = b"".join(chunks(17))
    for content, status in ((announced, 413), (unannounced(17), 413), (unannounced(16), 200)):
        answer = await api.client.post("/test/read", content=content)
        assert answer.status_code == status
        if status == 413:
            assert answer.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"
    absurd = await api.client.post("/test/read", content=b"", headers={"Content-Length": "9" * 5000})
    assert absurd.status_code == 413


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Trace-Id": "abcd_EF-12"}, "abcd_EF-12"),
        ({"X-Trace-Id": TRACE.upper()}, TRACE.upper()),
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE),
        ({"X-Trace-Id": "the-caller's"}, None),
        ({"X-Trace-Id": "short"}, None),
        ({"X-Trace-Id": "x" * 65}, None),
        ({"X-Trace-Id": "line\tbreak"}, None),
        ({"X-Trace-Id": f"dk_{'A' * 43}"}, None),
        ({"traceparent": "00-nonsense"}, None),
        ({}, None),
    ],
)
async def test_a_valid_trace_id_is_kept_and_any_other_replaced(
    api: Api, headers: dict[str, str], expected: str | None
) -> None:
    for path in ("/health", "/nothing"):
        given = (await api.client.get(path, headers=headers)).headers["x-trace-id"]

        assert given == expected if expected else re.fullmatch("[0-9a-f]{32}", given)


async def test_each_request_is_logged_once_without_secrets(api: Api, log_lines: io.StringIO) -> None:
    headers = {**await api.key(), "X-Trace-Id": "trace-of-test"}
    query = "shape=ROUND&color=D&color=E&api_key=hunter2&token=hunter3&x=password%3Dhunter4"

    await api.client.get(f"{SEARCH}?{query}", headers=headers)
    api.app.state.request_log.write()

    # The client in this process logs too.
    [text] = [text for text in log_lines.getvalue().splitlines() if "request_handled" in text]
    line = orjson.loads(text)
    assert (line["method"], line["path"], line["status"]) == ("GET", SEARCH, 400)
    assert (line["trace_id"], line["caller"]) == ("trace-of-test", "shop")
    assert line["query"]["color"] == ["D", "E"]
    assert line["query"]["api_key"] == line["query"]["token"] == "***"
    assert line["duration_ms"] >= 0
    assert "hunter" not in text
    assert headers["X-API-Key"] not in text


async def test_pages_of_other_origins_may_call_without_cookies(api: Api) -> None:
    origin = {"Origin": "https://shop.example"}
    asked = {**origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
    preflight = await api.client.options(SEARCH, headers=asked)
    refused = await api.client.get(SEARCH, headers=origin)

    assert preflight.status_code == 200
    assert "x-api-key" in preflight.headers["access-control-allow-headers"].lower()
    assert refused.status_code == 401
    for answer in (preflight, refused):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["x-trace-id"]
    assert "X-Trace-Id" in refused.headers["access-control-expose-headers"]


async def test_origins_can_be_restricted(pool: Pool, clock: ManualClock) -> None:
    async with open_api(pool, clock, cors_origins=["https://shop.example"]) as api:
        ours = await api.client.get("/health", headers={"Origin": "https://shop.example"})
        other = await api.client.get("/health", headers={"Origin": "https://evil.example"})

    assert ours.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-origin" not in other.headers


async def test_every_answer_has_the_safe_headers(api: Api) -> None:
    for path in ("/health", "/nothing", SEARCH, fail_with(api, RuntimeError())):
        headers = (await api.client.get(path)).headers

        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]


class away:  # noqa: N801 - reads as what it yields
    """A pool on a port where nothing listens."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        url = f"postgresql://nobody:hunter2@127.0.0.1:{port}/nothing"
        self._pool = open_pool(url, application_name="test", max_size=2)

    async def __aenter__(self) -> Pool:
        return await self._pool.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        await self._pool.__aexit__(*error)
        self._socket.close()
