"""Requests made up from an operation's description: every parameter with values that it says it takes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from route_walk import Operation, document

#: Beyond these, more values of a closed list would show nothing new.
_MOST_VALUES = 60
_NOBODYS_ID = "00000000-0000-4000-8000-00000000dead"


class Made(NamedTuple):
    """A query, the parameter that it is about, and a body; None for none."""

    query: Sequence[tuple[str, str]]
    about: Mapping[str, Any] | None
    body: Any


def requests_for(operation: Operation) -> Iterator[Made]:
    """The bare request, small pages, then one parameter at a time, then bodies whole and empty."""
    body = _body(operation)
    parameters = [one for one in operation.described.get("parameters", ()) if one["in"] == "query"]
    yield Made((), None, body)
    if any(one["name"] == "limit" for one in parameters):
        yield Made((("limit", "1"),), None, body)
    for parameter in parameters:
        for value in _texts(parameter["schema"]):
            yield Made(((parameter["name"], value),), parameter, body)
    if body is not None:
        others: Sequence[Any] = ({}, [], "text")
        yield from (Made((), None, other) for other in others)


def _texts(schema: Mapping[str, Any]) -> Iterator[str]:
    if schema.get("type") == "array":
        yield from _texts(schema["items"])
    elif "enum" in schema:
        yield from map(str, schema["enum"][:_MOST_VALUES])
    else:
        yield str(_sample(schema)).lower() if schema.get("type") == "boolean" else str(_sample(schema))
        yield {"boolean": "false", "string": ""}.get(schema.get("type", ""), "-1")


def _body(operation: Operation) -> Any:
    content = operation.described.get("requestBody", {}).get("content", {}).get("application/json")
    return None if content is None else _sample(content["schema"])


def _sample(schema: Mapping[str, Any]) -> Any:
    """A value that the schema allows, as far as such a simple look at it tells."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _sample(document()["components"]["schemas"][name])
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _sample(schema[several][0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: _sample(one) for name, one in schema.get("properties", {}).items()}
        case "array":
            return [_sample(schema["items"])]
        case "boolean":
            return True
        case "integer":
            return int(max(schema.get("minimum", 1), 1))
        case "number":
            return max(schema.get("minimum", 1), 1)
    formats = {"uuid": _NOBODYS_ID, "date-time": "2026-06-01T00:00:00Z"}
    return formats.get(schema.get("format", ""), "sample")
