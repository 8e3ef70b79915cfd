"""The lines of requests: each once and in order, with its own trace and time, soon, and at the end none is missing."""

import asyncio
import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from api_support import open_api

from diamond_opus.api import request_log as request_log_module
from diamond_opus.api.request_log import Handled, RequestLog
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.observability.logging import configure_logging, get_logger, in_one_piece
from diamond_opus.observability.trace import new_trace, use_trace

FIRST = Handled(
    ended_at=datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC),
    trace_id="trace-of-first",
    method="GET",
    path="/api/v2/diamonds",
    query_string=b"shape=ROUND&color=D&color=E&token=hunter2",
    status=200,
    seconds=0.01234,
    caller="shop",
)
SECOND = FIRST._replace(trace_id="trace-of-second", ended_at=FIRST.ended_at + timedelta(milliseconds=5))
FAILED = SECOND._replace(trace_id="trace-of-failed", status=500)
PROBE = FIRST._replace(path="/health", query_string=b"")


class Out(io.StringIO):
    """Counts how often something is written to it."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.getvalue().splitlines()]

    def traces(self) -> list[str]:
        return [line["trace_id"] for line in self.lines()]


@pytest.fixture
def out() -> Iterator[Out]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = Out()
    configure_logging(service="api", as_json=True, stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_a_line_says_what_was_asked_and_when_and_hides_secrets(out: Out) -> None:
    requests = RequestLog()
    with use_trace(new_trace()):
        requests.note(FIRST)
    requests.write()

    [line] = out.lines()
    assert (
        line.items()
        >= {
            "event": "request_handled",
            "timestamp": "2026-01-01T12:00:00.000001Z",
            "level": "info",
            "trace_id": "trace-of-first",
            "method": "GET",
            "path": "/api/v2/diamonds",
            "query": {"shape": "ROUND", "color": ["D", "E"], "token": "***"},
            "status": 200,
            "duration_ms": 12.34,
            "caller": "shop",
        }.items()
    )


async def test_lines_are_written_soon_without_another_request_and_in_one_piece(out: Out) -> None:
    requests = RequestLog()
    with use_trace(new_trace()):
        requests.note(FIRST)
        requests.note(SECOND)
    assert out.getvalue() == ""

    async with asyncio.timeout(5):
        while not out.getvalue():  # noqa: ASYNC110 - a timer writes
            await asyncio.sleep(0.01)
    assert out.traces() == ["trace-of-first", "trace-of-second"]
    assert out.writes == 1

    requests.write()
    assert len(out.lines()) == 2


async def test_what_failed_is_written_now_and_what_came_before_it_first(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log_module, "LATEST_SECONDS", 60)
    requests = RequestLog()
    requests.note(FIRST)
    requests.note(FAILED)
    assert out.traces() == ["trace-of-first", "trace-of-failed"]


async def test_the_last_request_is_in_the_log_when_serving_has_ended(
    out: Out, pool: Pool, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log_module, "LATEST_SECONDS", 60)
    async with open_api(pool, clock) as api:
        await api.client.get("/nothing")

    assert [line["path"] for line in out.lines() if line["event"] == "request_handled"] == ["/nothing"]


async def test_a_request_that_was_cancelled_after_the_end_is_in_the_log_too(out: Out) -> None:
    requests = RequestLog()
    requests.note(FIRST)
    requests.close()
    assert out.traces() == ["trace-of-first"]
    requests.note(SECOND)
    assert out.traces() == ["trace-of-first", "trace-of-second"]


async def test_a_probe_that_is_well_is_told_at_debug_alone(out: Out) -> None:
    requests = RequestLog()
    requests.note(PROBE)
    requests.note(PROBE._replace(status=503))
    assert [line["status"] for line in out.lines()] == [503]

    configure_logging(service="api", level="debug", as_json=True, stream=out)
    requests.note(PROBE)
    requests.write()
    assert [line["level"] for line in out.lines()] == ["info", "debug"]


async def test_a_log_that_wants_no_requests_keeps_none(out: Out) -> None:
    configure_logging(service="api", level="warn", as_json=True, stream=out)
    requests = RequestLog()
    requests.note(FIRST)
    configure_logging(service="api", level="info", as_json=True, stream=out)
    requests.write()
    assert out.getvalue() == ""


def test_a_piece_is_written_though_its_block_breaks_off_and_lines_after_it_at_once(out: Out) -> None:
    log = get_logger("diamond_opus.tests")

    def break_off() -> None:
        with in_one_piece():
            log.info("within")
            assert out.getvalue() == ""
            raise RuntimeError("broken off")

    with pytest.raises(RuntimeError):
        break_off()
    log.info("after")
    assert [line["event"] for line in out.lines()] == ["within", "after"]


def test_a_log_that_nobody_reads_any_more_breaks_nothing(out: Out) -> None:
    log = get_logger("diamond_opus.tests")
    out.close()
    with in_one_piece():
        log.info("lost")
