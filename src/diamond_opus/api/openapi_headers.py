"""Which headers answers carry, as the OpenAPI document tells it."""

from collections.abc import Mapping
from typing import Any

from diamond_opus.api.rate_limits import LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER

_REFERENCE = "#/components/headers/"


def _whole(description: str) -> Mapping[str, Any]:
    return {"description": description, "schema": {"type": "integer", "minimum": 0}}


#: For the document's components, by the names that the references have.
HEADERS: Mapping[str, Mapping[str, Any]] = {
    "X-Trace-Id": {
        "description": "Names this request in the log; a valid one that was sent is kept.",
        "schema": {"type": "string"},
    },
    LIMIT_HEADER: _whole("How many requests a minute the caller may make to routes of this kind."),
    REMAINING_HEADER: _whole("How many of them are left now."),
    RESET_HEADER: _whole("In how many seconds there will be more."),
    "Retry-After": _whole("How many seconds to wait before trying again."),
}

_LIMITS = (LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER)
_WAITING = ("429", "503")


def add_headers(operation: dict[str, Any]) -> None:
    """To every answer its trace id, the limits to those to a known caller, and how long to wait where that helps."""
    is_limited = "x-permissions" in operation
    for status, answer in operation["responses"].items():
        names = ["X-Trace-Id"]
        names += _LIMITS if is_limited and status != "401" else ()
        names += ["Retry-After"] if is_limited and status in _WAITING else ()
        own = answer.setdefault("headers", {})
        for name in names:
            own.setdefault(name, {"$ref": _REFERENCE + name})
