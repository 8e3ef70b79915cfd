"""How a query string, and an id in a path, are read strictly, described in OpenAPI, and shown in a log."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from starlette.requests import Request

from diamond_opus.catalog.parameters import (
    MOST_VALUES,
    BadValueError,
    Identifier,
    InvalidParameters,
    Parameter,
    Problem,
    read_parameters,
)

MOST_PARAMETERS = 300
MOST_LOGGED_BYTES = 4_096


def read_query(request: Request) -> Sequence[tuple[str, str]]:
    """Names and values in order, empty ones included. Raises InvalidParameters for what is no query string."""
    text = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except UnicodeDecodeError:
        message = "is not UTF-8 when its % escapes are undone"
    except ValueError:
        message = f"holds more than {MOST_PARAMETERS} parameters"
    raise InvalidParameters([Problem("query string", None, message)])


def refuse_parameters(request: Request) -> None:
    """For routes without a query string. Raises InvalidParameters."""
    read_parameters({}, read_query(request))


def read_id(name: str, text: str) -> UUID:
    """The UUID in a path. Raises InvalidParameters for what is none."""
    try:
        return Identifier().read(text)
    except BadValueError as error:
        raise InvalidParameters([Problem(name, text[:100], str(error))]) from error


def describe_parameters(parameters: Iterable[Parameter]) -> list[dict[str, Any]]:
    """OpenAPI's description of query parameters, from the very table that reads them."""
    return [_describe(parameter) for parameter in parameters]


def _describe(parameter: Parameter) -> dict[str, Any]:
    schema = parameter.kind.schema()
    if parameter.many:
        schema = {"type": "array", "items": schema, "maxItems": MOST_VALUES}
    if parameter.default is not None:
        schema["default"] = parameter.default
    needs = f" Needs the permission `{parameter.needs}`." if parameter.needs else ""
    return {
        "name": parameter.name,
        "in": "query",
        "required": False,
        "description": parameter.description + needs,
        "schema": schema,
    }


def loggable_query(query_string: bytes) -> dict[str, object]:
    """The query as fields of a log line, whose chain masks secrets; values that came several times as lists."""
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(query_string[:MOST_LOGGED_BYTES].decode("latin-1"), keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
