"""Trace ids and the W3C ``traceparent``, as the standard wants them read."""

import asyncio
import re

import pytest

from diamond_opus.observability.trace import (
    Trace,
    current_trace,
    format_traceparent,
    new_trace,
    new_trace_id,
    parse_trace_id,
    parse_traceparent,
    use_trace,
)

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"


def test_a_new_trace_id_is_32_hex_digits_and_never_the_same() -> None:
    ids = {new_trace_id() for _ in range(50)}

    assert len(ids) == 50
    assert all(re.fullmatch(r"[0-9a-f]{32}", trace_id) for trace_id in ids)


@pytest.mark.parametrize("sampled", [True, False])
def test_a_formatted_traceparent_reads_back_the_same(sampled: bool) -> None:
    trace = Trace(TRACE_ID, SPAN_ID, sampled)

    assert parse_traceparent(format_traceparent(trace)) == trace


def test_a_later_version_with_more_fields_is_understood() -> None:
    assert parse_traceparent(f"cc-{TRACE_ID}-{SPAN_ID}-01-what-the-future-holds") == Trace(TRACE_ID, SPAN_ID)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-01-more",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID}-{SPAN_ID}",
    ],
)
def test_an_invalid_traceparent_is_no_trace(header: str | None) -> None:
    assert parse_traceparent(header) is None


@pytest.mark.parametrize("text", ["", "0" * 32, "abc", "g" * 32, TRACE_ID + "0", "x" * 36])
def test_an_invalid_trace_id_is_refused(text: str) -> None:
    assert parse_trace_id(text) is None


def test_a_child_stays_in_its_trace_with_a_span_of_its_own() -> None:
    trace = new_trace(TRACE_ID)
    child = trace.child()

    assert child.trace_id == TRACE_ID
    assert child.span_id != trace.span_id


async def test_a_task_keeps_the_trace_it_was_started_in() -> None:
    trace = new_trace()

    async def look() -> Trace | None:
        await asyncio.sleep(0)
        return current_trace()

    with use_trace(trace):
        task = asyncio.create_task(look())
    outside = current_trace()

    assert await task == trace
    assert outside is None
