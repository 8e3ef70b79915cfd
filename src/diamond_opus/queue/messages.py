"""What the three queues carry: typed wake-ups that say where to look; the database says what is to do."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from diamond_opus.domain.errors import Fatal
from diamond_opus.observability.redact import clean_text
from diamond_opus.observability.trace import current_trace, format_traceparent
from diamond_opus.observability.tracing import run_trace
from diamond_opus.queue.protocol import Message, Received

SCHEMA_VERSION = 1
ERROR_LIMIT_BYTES = 2_000

# Of the fields that may be None only these are optional in JSON; a price of null means an open range.
_LEFT_OUT_WHEN_NONE = frozenset({"updatedFrom", "error"})

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Count = Annotated[int, Meta(ge=0)]
Moment = Annotated[datetime, Meta(tz=True)]


class PoisonMessage(Fatal):
    """A message nobody can ever handle: it is set aside with this reason, for a person to read and replay."""


class _Wakeup(Struct, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """What all messages share: run, trace and feed; ``type`` and ``schemaVersion`` go with each."""

    run_id: UUID
    trace_id: Name
    feed: Name

    @classmethod
    def from_received(cls, received: Received) -> Self:
        """The message in ``received``; fields this version does not know are ignored.

        Raises PoisonMessage, naming the message and the field, when it is of another type, of a newer
        schema, or when a field is missing or wrong.
        """
        where = f"message {received.id}"
        body: object = received.body
        if not isinstance(body, dict):
            raise PoisonMessage(f"{where}: expected a JSON object, got {type(body).__name__}")
        expected = cls.__struct_config__.tag
        if body.get("type") != expected:
            raise PoisonMessage(f"{where}: type is {_shown(body.get('type'))}, this queue carries {expected}")
        version = body.get("schemaVersion")
        if version != SCHEMA_VERSION:
            raise PoisonMessage(
                f"{where}: schemaVersion is {_shown(version)}, this process reads {SCHEMA_VERSION};"
                " replay it once every process runs the same release"
            )
        try:
            return msgspec.convert(body, cls)
        except msgspec.ValidationError as error:
            raise PoisonMessage(f"{where}: not a valid {expected}: {error}") from error

    def _message(self, message_id: str, **properties: str) -> Message:
        body: dict[str, Any] = {
            key: value
            for key, value in msgspec.to_builtins(self).items()
            if value is not None or key not in _LEFT_OUT_WHEN_NONE
        }
        if "error" in body:
            body["error"] = clean_text(body["error"], limit_bytes=ERROR_LIMIT_BYTES)
        sender = current_trace() or run_trace(self.trace_id)
        properties["traceparent"] = format_traceparent(sender)
        return Message(
            {**body, "schemaVersion": SCHEMA_VERSION}, message_id, {"runId": str(self.run_id), **properties}
        )


class WorkItem(_Wakeup, frozen=True, kw_only=True, tag="WORK_ITEM"):
    """Read one partition; its row says how far it already is. Prices are whole dollars, None is open."""

    partition_id: Name
    lab_grown: bool
    min_price: Count | None
    max_price: Count | None
    total_records: Count
    updated_from: Moment | None = None
    updated_to: Moment

    def __post_init__(self) -> None:
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise ValueError(f"minPrice {self.min_price} is above maxPrice {self.max_price}")

    def to_message(self, *, wakes: int) -> Message:
        """``wakes`` is the partition's own wake number: a deliberate re-send is never taken for a double."""
        return self._message(f"{self.run_id}:{self.partition_id}:{wakes}", partitionId=self.partition_id)


class WorkDone(_Wakeup, frozen=True, kw_only=True, tag="WORK_DONE"):
    """A partition came to an end: a reason to look whether its run is ready."""

    worker_id: Name
    partition_id: Name
    records_processed: Count
    status: Literal["success", "failed"]
    error: str | None = None

    def to_message(self, *, attempt: int) -> Message:
        """``attempt`` keeps a failed end and the later success of the same partition apart."""
        return self._message(
            f"work-done:{self.run_id}:{self.partition_id}:{attempt}", partitionId=self.partition_id
        )


class Consolidate(_Wakeup, frozen=True, kw_only=True, tag="CONSOLIDATE"):
    """Consolidate a run; with ``force`` in spite of failed partitions."""

    force: bool = False

    def to_message(self, *, wakes: int) -> Message:
        return self._message(f"consolidate:{self.run_id}:{wakes}")


def _shown(value: object) -> str:
    return clean_text(repr(value), limit_bytes=50)
