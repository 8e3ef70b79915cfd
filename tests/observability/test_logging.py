"""Log lines as an operator gets them: JSON or readable, one chain for all loggers, bounded and masked."""

import asyncio
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.observability.logging import (
    LINE_LIMIT_BYTES,
    bind,
    configure_logging,
    get_logger,
    parse_level,
)
from diamond_opus.observability.trace import new_trace, use_trace

log = get_logger("diamond_opus.tests")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def out() -> io.StringIO:
    stream = io.StringIO()
    configure_logging(service="worker", worker_id="w1", stream=stream)
    return stream


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_the_event_and_its_fields(out: io.StringIO) -> None:
    log.info("partition_completed", stones=1987, elapsed_ms=12.5)

    [line] = lines(out)
    assert (
        line.items()
        >= {
            "event": "partition_completed",
            "level": "info",
            "service": "worker",
            "worker_id": "w1",
            "logger": "diamond_opus.tests",
            "stones": 1987,
            "elapsed_ms": 12.5,
        }.items()
    )
    assert line["timestamp"].endswith("Z")


async def test_bound_fields_and_the_trace_go_with_every_line_of_the_block(out: io.StringIO) -> None:
    trace = new_trace()

    async def work() -> None:
        await asyncio.sleep(0)
        log.info("inside")

    with use_trace(trace), bind(run_id="r1", partition_id="p1"):
        await asyncio.gather(asyncio.create_task(work()))
    log.info("outside")

    inside, outside = lines(out)
    assert inside.items() >= {"run_id": "r1", "partition_id": "p1", "trace_id": trace.trace_id}.items()
    assert outside.keys().isdisjoint({"run_id", "partition_id", "trace_id"})


@pytest.mark.parametrize("name", ["uvicorn.error", "psycopg.pool", "aiohttp.client"])
def test_the_lines_of_libraries_take_the_same_chain(out: io.StringIO, name: str) -> None:
    with bind(run_id="r1"):
        logging.getLogger(name).warning(
            "cannot reach postgresql://u:hunter2@%s", "db", extra={"color_message": "in red", "attempt": 3}
        )

    [line] = lines(out)
    assert line["event"] == "cannot reach postgresql://u:***@db"
    assert (line["logger"], line["level"], line["run_id"], line["attempt"]) == (name, "warning", "r1", 3)
    assert "color_message" not in line


def test_a_server_that_set_up_its_own_handler_speaks_once_after_configuration() -> None:
    own = logging.getLogger("uvicorn.error")
    own.addHandler(logging.StreamHandler(io.StringIO()))
    own.propagate = False
    out = io.StringIO()
    configure_logging(service="api", stream=out)

    own.warning("started")

    assert [line["event"] for line in lines(out)] == ["started"]


def test_azure_s_sdks_speak_of_what_went_wrong_alone(out: io.StringIO) -> None:
    sdk = logging.getLogger("azure.servicebus._pyamqp.link")
    sdk.info("Link state changed")
    sdk.warning("Link detached")

    assert [line["event"] for line in lines(out)] == ["Link detached"]


def test_secrets_are_masked_in_fields_messages_and_tracebacks(out: io.StringIO) -> None:
    try:
        raise ConnectionError("postgresql://diamond:hunter2@db/opus refused")
    except ConnectionError:
        log.exception("connect_failed", password="hunter2", url="amqp://u:hunter2@bus")
    logging.getLogger("aiohttp").error("Authorization: Bearer hunter2hunter2hunter2")

    assert len(lines(out)) == 2
    assert "hunter2" not in out.getvalue()
    assert "ConnectionError" in lines(out)[0]["exception"]


def test_a_value_is_at_most_4_kb_and_a_traceback_keeps_its_last_line(out: io.StringIO) -> None:
    try:
        raise ValueError("x" * 50_000 + " the end")
    except ValueError:
        log.exception("failed", payload="p" * 50_000)

    [line] = lines(out)
    assert len(line["payload"].encode()) <= 4096
    assert len(line["exception"].encode()) <= 4096
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("the end")


def test_a_line_is_at_most_16_kb_and_keeps_who_what_and_the_small_fields(out: io.StringIO) -> None:
    big = {f"field_{n}": "é" * 2_000 for n in range(20)}
    with bind(run_id="r1" * 3000):
        log.error("quite_a_lot", **big, stones=7)

    text = out.getvalue().rstrip("\n")
    line = orjson.loads(text)
    assert len(text.encode()) <= LINE_LIMIT_BYTES
    assert (line["event"], line["level"], line["service"], line["stones"]) == (
        "quite_a_lot",
        "error",
        "worker",
        7,
    )
    assert line["run_id"].startswith("r1r1")
    assert line["omitted_fields"] > 10


def test_a_message_of_any_content_is_still_one_line(out: io.StringIO) -> None:
    log.info("a\nb\u2028c\ud800\x00", odd=float("inf"), other={1: {2}})
    log.info('"' * 20_000, more="\n" * 20_000)

    assert len(out.getvalue().encode().strip(b"\n").split(b"\n")) == 2
    assert all(len(line.encode()) <= LINE_LIMIT_BYTES for line in out.getvalue().split("\n"))


def test_the_level_is_that_of_log_level(out: io.StringIO) -> None:
    configure_logging(service="worker", level="warn", stream=out)

    log.info("not_shown")
    logging.getLogger("psycopg").info("not shown")
    log.warning("shown")

    assert [line["event"] for line in lines(out)] == ["shown"]


def test_an_unknown_level_stops_the_start_and_is_named() -> None:
    with pytest.raises(ConfigurationError, match="LOG_LEVEL is 'loud'; use one of trace, debug, info"):
        parse_level("loud")


def test_a_terminal_gets_readable_lines_with_secrets_masked() -> None:
    out = Terminal()
    configure_logging(service="worker", stream=out)

    try:
        raise ValueError("password=hunter2")
    except ValueError:
        log.exception("page_failed", run_id="r1", api_key="hunter2")

    assert "page_failed" in out.getvalue()
    assert "ValueError" in out.getvalue()
    assert "r1" in out.getvalue()
    assert "hunter2" not in out.getvalue()
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(out.getvalue().splitlines()[0])


def test_python_warnings_are_lines_too(out: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old setting", stacklevel=1)

    assert "old setting" in lines(out)[0]["event"]
