"""Whether JSON is exactly what a schema of our OpenAPI document describes: all that is described, and nothing else."""

from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


def mismatches(
    schema: Mapping[str, Any], value: Any, schemas: Mapping[str, Any], where: str = "$"
) -> Iterator[str]:
    """Each place where they differ; ``schemas`` are the document's components."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    options = [option for several in ("anyOf", "oneOf", "allOf") for option in schema.get(several, ())]
    if value is None:
        if not schema.get("nullable") and ("type" in schema or options):
            yield f"{where} is null"
    elif options:
        if all([*mismatches(option, value, schemas, where)] for option in options):
            yield f"{where} is none of what it may be: {value!r}"
    elif "type" in schema:
        yield from _typed_mismatches(schema, value, schemas, where)


def _typed_mismatches(
    schema: Mapping[str, Any], value: Any, schemas: Mapping[str, Any], where: str
) -> Iterator[str]:
    kind: str = schema["type"]
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{where} is no {kind}: {value!r}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where} is not in the list: {value!r}"
    elif kind == "array":
        for item in value:
            yield from mismatches(schema["items"], item, schemas, f"{where}[]")
    elif "properties" in schema:
        yield from _named_mismatches(schema, value, schemas, where)


def _named_mismatches(
    schema: Mapping[str, Any], value: Mapping[str, Any], schemas: Mapping[str, Any], where: str
) -> Iterator[str]:
    described = schema["properties"]
    for name in sorted(set(schema.get("required", ())) - set(value)):
        yield f"{where}.{name} is missing"
    for name, item in value.items():
        if name in described:
            yield from mismatches(described[name], item, schemas, f"{where}.{name}")
        else:
            yield f"{where}.{name} is not described"
