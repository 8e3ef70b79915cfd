"""The watermark as JSON: what older installations wrote is read, and nothing is lost on the way."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.domain.errors import Fatal
from diamond_opus.watermark.document import InvalidWatermark, decode, encode, from_document, to_document
from diamond_opus.watermark.protocol import Watermark

BLOB = "watermarks/nivoda.json"
moments = st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def test_the_documented_example_is_read() -> None:
    content = b"""{
        "lastUpdatedAt": "2024-01-15T02:00:00.000Z",
        "lastRunId": "abc-123-def",
        "lastRunCompletedAt": "2024-01-15T02:45:00.000Z"
    }"""

    assert decode(content, where=BLOB, version="v7") == Watermark(
        datetime(2024, 1, 15, 2, tzinfo=UTC), "abc-123-def", datetime(2024, 1, 15, 2, 45, tzinfo=UTC), "v7"
    )


def test_run_and_completion_may_be_missing_and_unknown_fields_are_ignored() -> None:
    watermark = from_document({"lastUpdatedAt": "2024-01-15T02:00:00Z", "note": "by hand"}, where=BLOB)

    assert watermark == Watermark(datetime(2024, 1, 15, 2, tzinfo=UTC), None, None)


@given(
    updated_at=moments,
    run_id=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    completed_at=st.none() | moments,
)
def test_what_was_encoded_is_decoded_to_the_microsecond(
    updated_at: datetime, run_id: str | None, completed_at: datetime | None
) -> None:
    watermark = Watermark(updated_at, run_id, completed_at)

    assert decode(encode(watermark), where=BLOB) == watermark


def test_moments_are_written_in_utc() -> None:
    elsewhere = datetime(2024, 1, 15, 7, 30, 0, 123000, tzinfo=timezone(timedelta(hours=5, minutes=30)))

    assert to_document(Watermark(elsewhere, None, None))["lastUpdatedAt"] == "2024-01-15T02:00:00.123Z"
    assert orjson.loads(encode(Watermark(elsewhere, "r", None)))["lastRunId"] == "r"


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "expected a JSON object, got list"),
        ({}, "lastUpdatedAt is missing"),
        ({"lastUpdatedAt": "2024-01-15T02:00:00"}, "lastUpdatedAt is '2024-01-15T02:00:00', not a moment"),
        ({"lastUpdatedAt": "yesterday"}, "lastUpdatedAt is 'yesterday'"),
        ({"lastUpdatedAt": 1705284000}, "lastUpdatedAt is 1705284000"),
        ({"lastUpdatedAt": "2024-01-15T02:00:00Z", "lastRunId": 7}, "lastRunId is 7"),
        ({"lastUpdatedAt": "2024-01-15T02:00:00Z", "lastRunCompletedAt": "?"}, "lastRunCompletedAt is '?'"),
    ],
)
def test_a_damaged_document_is_refused_with_its_place_and_value(document: Any, told: str) -> None:
    with pytest.raises(InvalidWatermark, match=rf"^{BLOB}: {told}") as caught:
        decode(orjson.dumps(document), where=BLOB)

    assert isinstance(caught.value, Fatal)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidWatermark, match=r"watermarks/nivoda.json: not JSON"):
        decode(b"", where=BLOB)
