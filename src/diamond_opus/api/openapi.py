"""The OpenAPI document: what FastAPI knows of the routes, with how to authenticate, in the version that tools read.

Swagger UI as it is packaged reads OpenAPI 3.0 and no later one, so that 3.1's way to say "or null" is rewritten.
"""

from collections.abc import Iterator
from importlib.metadata import version as installed_version
from typing import Any

from fastapi import FastAPI

from diamond_opus.api import auth
from diamond_opus.api.routes import make_bare_app

_VERSION = "3.0.3"
_DISTRIBUTION = "diamond-opus"
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


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of an application of ours."""
    document: dict[str, Any] = _without_null_types(app.openapi())
    document["openapi"] = _VERSION
    components = document["components"]
    components["securitySchemes"] = _SCHEMES
    for name in _UNUSED_SCHEMAS:
        components["schemas"].pop(name, None)
    for operation in _operations(document):
        operation["responses"].pop("422", None)  # our answer to that is 400
        _say_what_it_needs(operation)
    return document


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _say_what_it_needs(operation: dict[str, Any]) -> None:
    """Put the real schemes where FastAPI noted ``Needs``, and the permission into words."""
    needs = [
        auth.permission_of_scheme(name)
        for requirement in operation.get("security", ())
        for name in requirement
    ]
    if needs:
        words = ", ".join(f"`{permission}`" for permission in needs)
        operation["security"] = _EITHER
        operation["description"] = (
            f"{operation.get('description', '')}\n\nNeeds the permission {words}.".strip()
        )
        operation["x-permissions"] = needs


def _without_null_types(schema: Any) -> Any:
    """The same schema with OpenAPI 3.0's ``nullable``."""
    if isinstance(schema, list):
        return [_without_null_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: _without_null_types(item) for name, item in schema.items()}
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
    return schema
