"""Examples for the OpenAPI document: real answers in examples.json, which tests/api/test_api_examples.py writes."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import orjson

#: The file's part for errors, by status; all its other parts are operations by their ids, each with answers by status.
ERRORS = "errors"


def load_examples() -> Mapping[str, Mapping[str, Any]]:
    """By operation id, then by status."""
    examples: Mapping[str, Mapping[str, Any]] = orjson.loads(
        files("diamond_opus.api").joinpath("examples.json").read_bytes()
    )
    return examples


def add_examples(operation: dict[str, Any], examples: Mapping[str, Mapping[str, Any]]) -> None:
    """Put the examples there are beside the schemas of an operation's JSON answers."""
    own, errors = examples.get(operation["operationId"], {}), examples.get(ERRORS, {})
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get("application/json")
        example = own.get(status, errors.get(status) if status >= "400" else None)
        if content is not None and example is not None:
            content["example"] = example
