"""The OpenAPI document: what FastAPI knows of the routes, with how to authenticate, in the version that tools read.

Swagger UI as it is packaged reads OpenAPI 3.0 and no later one, so that what only 3.1 can say is rewritten.
"""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version as installed_version
from typing import Any

import orjson
from fastapi import FastAPI

from diamond_opus.api import auth
from diamond_opus.api.examples import add_examples, load_examples
from diamond_opus.api.openapi_headers import HEADERS, add_headers
from diamond_opus.api.routes import COMMON_ERRORS, make_bare_app

_VERSION = "3.0.3"
_DISTRIBUTION = "diamond-opus"
_REFERENCE = "#/components/schemas/"
_UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError")

_SCHEMES = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": auth.API_KEY_HEADER,
        "description": "A key made by `diamond keys create`.",
    },
    "HmacClient": {
        "type": "apiKey",
        "in": "header",
        "name": auth.CLIENT_ID_HEADER,
        "description": "The client's name in HMAC_SECRETS.",
    },
    "HmacTimestamp": {
        "type": "apiKey",
        "in": "header",
        "name": auth.TIMESTAMP_HEADER,
        "description": "Whole seconds since 1970, at most 300 away from the server's clock.",
    },
    "HmacSignature": {
        "type": "apiKey",
        "in": "header",
        "name": auth.SIGNATURE_HEADER,
        "description": "Hex HMAC-SHA256 of `METHOD\\nPATH\\nTIMESTAMP\\nSHA256(BODY)` with the client's secret. "
        "PATH is the path as it is called, with its query string (GET and HEAD may leave that out).",
    },
}
_EITHER: list[dict[str, list[str]]] = [
    {"ApiKey": []},
    {"HmacClient": [], "HmacTimestamp": [], "HmacSignature": []},
]


def openapi_document(version: str | None = None) -> dict[str, Any]:
    """The document of this package's API, without a database or a server."""
    return describe(make_bare_app(version or installed_version(_DISTRIBUTION)))


@lru_cache(maxsize=4)
def openapi_json(version: str) -> bytes:
    """The document of this version as it is served: made once, because that takes half a second."""
    return orjson.dumps(openapi_document(version))


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of an application of ours."""
    document: dict[str, Any] = _with_plain_names(_in_version_3_0(app.openapi()))
    document["openapi"] = _VERSION
    components = document["components"]
    components["securitySchemes"] = _SCHEMES
    components["headers"] = HEADERS
    for name in _UNUSED_SCHEMAS:
        components["schemas"].pop(name, None)
    examples = load_examples()
    for method, path, operation in _operations(document):
        operation["responses"].pop("422", None)  # our answer to that is 400
        _drop_impossible_errors(method, path, operation)
        _say_what_it_needs(operation)
        add_headers(operation)
        add_examples(operation, examples)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """By method, in small letters, and path."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def _drop_impossible_errors(method: str, path: str, operation: dict[str, Any]) -> None:
    """Of the errors that every route is given: without an id or a body nothing is missing.

    Too large is also a body that a route does not take; with a GET nobody sends one.
    """
    responses = operation["responses"]
    if method == "get":
        responses.pop("413", None)
    is_default = responses.get("404", {}).get("description") == COMMON_ERRORS[404]["description"]
    if is_default and "requestBody" not in operation and "{" not in path:
        del responses["404"]


def _say_what_it_needs(operation: dict[str, Any]) -> None:
    """Put the real schemes where FastAPI noted ``Needs``, and the permission into words."""
    needs = [
        auth.permission_of_scheme(name)
        for requirement in operation.get("security", ())
        for name in requirement
    ]
    if needs:
        permissions = [permission for permission in needs if permission]
        words = ", ".join(f"`{permission}`" for permission in permissions)
        told = f"Needs the permission {words}." if words else "Any key or signature will do."
        operation["security"] = _EITHER
        operation["description"] = f"{operation.get('description', '')}\n\n{told}".strip()
        operation["x-permissions"] = permissions


def _with_plain_names(document: dict[str, Any]) -> dict[str, Any]:
    """The same document with its schemas called by their titles: DiamondList, not ListOf_Diamond_.

    Raises ValueError for two with one title: give one of the models another name.
    """
    schemas = document["components"]["schemas"]
    names = {name: schema.get("title", name) for name, schema in schemas.items()}
    [(title, uses)] = Counter(names.values()).most_common(1)
    if uses > 1:
        raise ValueError(f"{uses} schemas are called {title}")

    def renamed(node: Any) -> Any:
        if isinstance(node, list):
            return [renamed(item) for item in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            return {"$ref": _REFERENCE + names[node["$ref"].removeprefix(_REFERENCE)]}
        return {name: renamed(value) for name, value in node.items()}

    document = renamed(document)
    document["components"]["schemas"] = {
        names[name]: schema for name, schema in document["components"]["schemas"].items()
    }
    return document


def _in_version_3_0(schema: Any) -> Any:
    """The same schema without what only 3.1 has: the type null, const, and exclusive bounds that are numbers."""
    if isinstance(schema, list):
        return [_in_version_3_0(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _in_version_3_0(item) for name, item in schema.items()}
    options = schema.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        del schema["anyOf"]
        # A reference must stand alone in 3.0: whatever is said beside it goes around it.
        combined = rest[0] if len(rest) == 1 and "$ref" not in rest[0] else {"anyOf": rest}
        return {**combined, **schema, "nullable": True}
    if "$ref" in schema and len(schema) > 1:
        schema["allOf"] = [{"$ref": schema.pop("$ref")}]
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "type" in schema and schema.get("default", ...) is None:
        del schema["default"]  # it only says that the field may be left out
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in schema:
            schema |= {bound: schema[exclusive], exclusive: True}
    return schema
