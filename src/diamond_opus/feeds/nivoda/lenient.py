"""The reader for answers that the quick one refuses: one item's broken text must not cost its whole page.

It takes what PostgreSQL's ``json`` takes, lone surrogates and numbers of any length included, and bytes that are not
UTF-8 in some item. It is ten times slower.
"""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

_LONGEST_INTEGER = 18
_BLANKS = " \t\n\r"


def _to_int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else None


def _drop(_number: str) -> None:
    return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_reader = json.JSONDecoder(parse_int=_to_int, parse_float=_drop, parse_constant=_refuse)


def load(text: str) -> Any:
    """JSON without its fractions and its longest numbers. Raises ValueError or RecursionError.

    >>> load('{"id": "a", "price": 448324, "carats": 1.51}')
    {'id': 'a', 'price': 448324, 'carats': None}
    """
    return _reader.decode(text)


def split_items(body: bytes) -> tuple[list[bytes] | None, Sequence[Any]]:
    """The exact bytes of each item of a page (None: no list of items) and the errors beside them.

    Raises ``msgspec.DecodeError`` when the body is not JSON.
    """
    text = body.decode(errors="surrogateescape")  # bytes that are not UTF-8 can be had back as they were
    try:
        answer = load(text)
        errors = answer.get("errors") if isinstance(answer, dict) else None
        data = answer.get("data") if isinstance(answer, dict) else None
        found = data.get("diamonds_by_query") if isinstance(data, dict) else None
        if not isinstance(found, dict) or not isinstance(found.get("items"), list):
            items = None
        else:
            start = _find_value(text, ("data", "diamonds_by_query", "items"))
            items = [item.encode(errors="surrogateescape") for item in _elements(text, start)]
    except (ValueError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
    return items, errors if isinstance(errors, list) else ()


def _find_value(text: str, path: Sequence[str]) -> int:
    """Where the value at ``path`` begins in valid JSON; of a repeated name the last counts, as elsewhere."""
    position = _skip(text, 0)
    for wanted in path:
        found = position
        cursor = _skip(text, position + 1)
        while text[cursor] == '"':
            name, cursor = _reader.raw_decode(text, cursor)
            cursor = _skip(text, _skip(text, cursor) + 1)
            if name == wanted:
                found = cursor
            cursor = _skip(text, _reader.raw_decode(text, cursor)[1])
            cursor = _skip(text, cursor + 1) if text[cursor] == "," else cursor
        position = found
    return position


def _elements(text: str, start: int) -> list[str]:
    """The texts of a JSON list's elements; ``start`` is at its bracket."""
    elements = []
    cursor = _skip(text, start + 1)
    while text[cursor] != "]":
        end = _reader.raw_decode(text, cursor)[1]
        elements.append(text[cursor:end])
        cursor = _skip(text, end)
        cursor = _skip(text, cursor + 1) if text[cursor] == "," else cursor
    return elements


def _skip(text: str, cursor: int) -> int:
    while text[cursor] in _BLANKS:
        cursor += 1
    return cursor
