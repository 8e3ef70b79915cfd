"""The watermark as a JSON document: what a blob holds and what the API shows."""

from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

from diamond_opus.domain.errors import Fatal
from diamond_opus.watermark.protocol import Watermark

_EXAMPLE = "2024-01-15T02:00:00.000Z"


class InvalidWatermark(Fatal):
    """A stored or sent watermark that cannot be read; nothing was assumed in its place."""


def to_document(watermark: Watermark) -> dict[str, str | None]:
    """``lastUpdatedAt``, ``lastRunId``, ``lastRunCompletedAt``; moments in UTC, to the millisecond or finer.

    >>> to_document(Watermark(datetime(2024, 1, 15, 2, tzinfo=UTC), "r1", None))
    {'lastUpdatedAt': '2024-01-15T02:00:00.000Z', 'lastRunId': 'r1', 'lastRunCompletedAt': None}
    """
    completed_at = watermark.last_run_completed_at
    return {
        "lastUpdatedAt": _format(watermark.last_updated_at),
        "lastRunId": watermark.last_run_id,
        "lastRunCompletedAt": None if completed_at is None else _format(completed_at),
    }


def from_document(document: object, *, where: str, version: str = "") -> Watermark:
    """The watermark in a decoded JSON value, whose unknown fields are ignored.

    Raises InvalidWatermark, saying ``where`` the value came from.
    """
    if not isinstance(document, Mapping):
        raise InvalidWatermark(f"{where}: expected a JSON object, got {type(document).__name__}")
    last_updated_at = _moment(document, "lastUpdatedAt", where)
    if last_updated_at is None:
        raise InvalidWatermark(
            f"{where}: lastUpdatedAt is missing; remove the document to start with a full run"
        )
    run_id = document.get("lastRunId")
    if run_id is not None and not isinstance(run_id, str):
        raise InvalidWatermark(f"{where}: lastRunId is {run_id!r}, not a text")
    return Watermark(last_updated_at, run_id, _moment(document, "lastRunCompletedAt", where), version)


def encode(watermark: Watermark) -> bytes:
    """The document as bytes, for a store that keeps bytes."""
    return orjson.dumps(to_document(watermark))


def decode(content: bytes, *, where: str, version: str = "") -> Watermark:
    """The reverse of :func:`encode`. Raises InvalidWatermark."""
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidWatermark(f"{where}: not JSON: {error}") from error
    return from_document(document, where=where, version=version)


def _format(moment: datetime) -> str:
    """Milliseconds as the original wrote them; six digits when there are any, so that nothing moves back."""
    utc = moment.astimezone(UTC)
    precision = "milliseconds" if utc.microsecond % 1000 == 0 else "microseconds"
    return utc.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _moment(document: Mapping[str, object], key: str, where: str) -> datetime | None:
    value = document.get(key)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidWatermark(
            f"{where}: {key} is {value!r}, not a moment with a time zone such as {_EXAMPLE}"
        )
    return moment.astimezone(UTC)
