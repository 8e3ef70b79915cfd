"""The messages on the wire: what is sent, what is accepted, and how a wrong one is refused."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.domain.errors import Fatal
from diamond_opus.observability.trace import format_traceparent, new_trace, use_trace
from diamond_opus.queue.messages import Consolidate, PoisonMessage, WorkDone, WorkItem
from diamond_opus.queue.protocol import Message, Received

RUN = UUID("7f8a1c70-90b1-4b39-8a5a-0d4a5a0e6c11")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PLANNED = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def make_work_item(**changes: Any) -> WorkItem:
    item = WorkItem(
        run_id=RUN,
        trace_id=TRACE,
        feed="nivoda",
        partition_id="natural-0003",
        lab_grown=False,
        min_price=1200,
        max_price=1340,
        total_records=1987,
        updated_to=PLANNED,
    )
    return msgspec.structs.replace(item, **changes)


def received(body: Any, message_id: str = "m1") -> Received:
    return Received(message_id, body, {}, 0, PLANNED, None)


def on_the_wire(message: Message) -> Any:
    """The body after a transport has carried it."""
    return orjson.loads(orjson.dumps(message.body))


def without(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in body.items() if k != key}


def test_a_work_item_is_sent_in_camel_case_with_its_type_version_and_id() -> None:
    message = make_work_item(updated_from=PLANNED - timedelta(days=1)).to_message(wakes=3)

    assert message.id == f"{RUN}:natural-0003:3"
    assert (
        message.properties
        == {
            "runId": str(RUN),
            "partitionId": "natural-0003",
            "traceparent": f"00-{TRACE}-{TRACE[:16]}-01",  # nobody's work led to it, so it belongs below the planning
        }
    )
    assert on_the_wire(message) == {
        "type": "WORK_ITEM",
        "schemaVersion": 1,
        "runId": str(RUN),
        "traceId": TRACE,
        "feed": "nivoda",
        "partitionId": "natural-0003",
        "labGrown": False,
        "minPrice": 1200,
        "maxPrice": 1340,
        "totalRecords": 1987,
        "updatedFrom": "2026-01-01T03:04:05.678901Z",
        "updatedTo": "2026-01-02T03:04:05.678901Z",
    }


def test_an_open_price_is_null_and_a_full_run_has_no_updated_from() -> None:
    body = on_the_wire(make_work_item(min_price=0, max_price=None).to_message(wakes=0))

    assert body["maxPrice"] is None
    assert "updatedFrom" not in body


def test_a_work_done_tells_a_failed_end_from_a_later_success() -> None:
    done = WorkDone(
        run_id=RUN,
        trace_id=TRACE,
        feed="nivoda",
        worker_id="w1",
        partition_id="p1",
        records_processed=12,
        status="failed",
        error="429 from the supplier\x00" + "!" * 5_000,
    )

    message = done.to_message(attempt=2)

    assert message.id == f"work-done:{RUN}:p1:2"
    assert on_the_wire(message)["error"].startswith("429 from the supplier�!!")
    assert len(on_the_wire(message)["error"].encode()) <= 2_000
    assert message.id != done.to_message(attempt=3).id


def test_a_successful_work_done_has_no_error_field() -> None:
    done = WorkDone(
        run_id=RUN,
        trace_id=TRACE,
        feed="nivoda",
        worker_id="w1",
        partition_id="p1",
        records_processed=12,
        status="success",
    )

    assert "error" not in on_the_wire(done.to_message(attempt=1))


def test_a_consolidate_message_carries_its_wake_number_in_the_id() -> None:
    message = Consolidate(run_id=RUN, trace_id=TRACE, feed="nivoda", force=True).to_message(wakes=7)

    assert message.id == f"consolidate:{RUN}:7"
    assert on_the_wire(message) == {
        "type": "CONSOLIDATE",
        "schemaVersion": 1,
        "runId": str(RUN),
        "traceId": TRACE,
        "feed": "nivoda",
        "force": True,
    }


def test_the_present_trace_goes_along_as_traceparent() -> None:
    trace = new_trace()
    with use_trace(trace):
        message = make_work_item().to_message(wakes=0)

    assert message.properties["traceparent"] == format_traceparent(trace)


@given(
    lowest=st.none() | st.integers(0, 10**9),
    width=st.none() | st.integers(0, 10**9),
    updated_from=st.none() | st.datetimes(timezones=st.just(UTC)),
    lab_grown=st.booleans(),
)
def test_what_was_sent_is_what_is_read(
    lowest: int | None, width: int | None, updated_from: datetime | None, lab_grown: bool
) -> None:
    highest = None if width is None else (lowest or 0) + width
    item = make_work_item(min_price=lowest, max_price=highest, updated_from=updated_from, lab_grown=lab_grown)

    assert WorkItem.from_received(received(on_the_wire(item.to_message(wakes=1)))) == item


def test_fields_of_a_later_release_are_ignored() -> None:
    body = on_the_wire(make_work_item().to_message(wakes=0)) | {"priority": "high"}

    assert WorkItem.from_received(received(body)) == make_work_item()


@pytest.mark.parametrize("force", [{}, {"force": False}])
def test_force_may_be_left_out(force: dict[str, bool]) -> None:
    body = on_the_wire(Consolidate(run_id=RUN, trace_id=TRACE, feed="nivoda").to_message(wakes=0))

    assert Consolidate.from_received(received(without(body, "force") | force)).force is False


@pytest.mark.parametrize(
    "missing",
    [
        *("type", "schemaVersion", "runId", "traceId", "feed", "partitionId", "labGrown", "minPrice"),
        *("maxPrice", "totalRecords", "updatedTo"),
    ],
)
def test_a_missing_field_is_named(missing: str) -> None:
    body = without(on_the_wire(make_work_item().to_message(wakes=0)), missing)

    with pytest.raises(PoisonMessage, match=rf"message m1: .*{missing}"):
        WorkItem.from_received(received(body))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"type": "WORK_DONE"}, "WORK_DONE"),
        ({"schemaVersion": 2}, "schemaVersion is 2, this process reads 1"),
        ({"schemaVersion": "1" * 9_999}, "schemaVersion is '111"),
        ({"runId": "not-a-uuid"}, "runId"),
        ({"partitionId": ""}, "partitionId"),
        ({"labGrown": "no"}, "labGrown"),
        ({"minPrice": -1}, "minPrice"),
        ({"minPrice": 12.5}, "minPrice"),
        ({"minPrice": 2000, "maxPrice": 1000}, "minPrice 2000 is above maxPrice 1000"),
        ({"totalRecords": None}, "totalRecords"),
        ({"updatedTo": "2026-01-02T03:04:05"}, "updatedTo"),
        ({"updatedTo": "yesterday"}, "updatedTo"),
    ],
)
def test_a_wrong_field_is_named_and_the_message_is_poison(wrong: dict[str, Any], told: str) -> None:
    body = on_the_wire(make_work_item().to_message(wakes=0)) | wrong

    with pytest.raises(PoisonMessage, match=told) as caught:
        WorkItem.from_received(received(body))

    assert isinstance(caught.value, Fatal)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("body", [None, [], "text", 7])
def test_a_body_that_is_no_object_is_poison(body: Any) -> None:
    with pytest.raises(PoisonMessage, match="expected a JSON object, got"):
        Consolidate.from_received(received(body))


def test_moments_of_other_zones_are_the_same_moment() -> None:
    elsewhere = PLANNED.astimezone(timezone(timedelta(hours=5, minutes=30)))
    body = on_the_wire(make_work_item(updated_to=elsewhere).to_message(wakes=0))

    assert WorkItem.from_received(received(body)).updated_to == PLANNED
