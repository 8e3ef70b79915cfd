"""What is wrong with a body or a path, told field by field as the problems of a query string are."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

_MOST_SHOWN = 100
_QUOTED = re.compile(r"'([^']*)'")
_CLOSED_LISTS = frozenset({"enum", "literal_error"})


def describe_problems(request: Request, error: RequestValidationError) -> Sequence[Mapping[str, Any]]:
    """One entry for each fault: ``parameter``, ``message``, and where they help ``value`` and ``allowed``."""
    fields = _fields_of_body(request)
    return [_describe(problem, fields) for problem in error.errors()]


def _describe(problem: Mapping[str, Any], fields: Sequence[str]) -> Mapping[str, Any]:
    kind, where = problem["type"], problem["loc"][1:]
    if kind == "json_invalid":
        return {
            "parameter": "body",
            "message": f"is no JSON: {problem['ctx']['error']} at character {where[0]}",
        }
    told: dict[str, Any] = {"parameter": ".".join(str(part) for part in where) or "body"}
    if kind != "missing" and isinstance(problem["input"], str | int | float):
        told["value"] = str(problem["input"])[:_MOST_SHOWN]
    told["message"] = _message(problem)
    if kind in _CLOSED_LISTS:
        told["allowed"] = _QUOTED.findall(problem["ctx"]["expected"])
    elif kind == "extra_forbidden" and len(where) == 1:
        told["allowed"] = fields
        close = get_close_matches(str(where[0]), fields, n=1)
        told["message"] += f"; did you mean {close[0]}?" if close else ""
    return told


def _message(problem: Mapping[str, Any]) -> str:
    match problem["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "there is no such field"
        case "enum" | "literal_error":
            return "is not known"
    text: str = problem["msg"]
    return text.removeprefix("Value error, ").replace("Input should be", "must be")


def _fields_of_body(request: Request) -> Sequence[str]:
    """What the body of the route that was called may hold, as JSON writes it."""
    body = getattr(request.scope.get("route"), "body_field", None)
    model = body.field_info.annotation if body is not None else None
    model = next(
        (one for one in get_args(model) if one is not type(None)), model
    )  # of an optional body, the body
    if not isinstance(model, type) or not issubclass(model, BaseModel):
        return []
    return [field.alias or name for name, field in model.model_fields.items()]
