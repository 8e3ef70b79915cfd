"""What is left of an item whose fields are not all as they should be: odd ones become null and are told."""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from msgspec import Raw, Struct

from diamond_opus.domain.errors import Warned
from diamond_opus.feeds.nivoda import words
from diamond_opus.feeds.nivoda.items import Certificate, Delivery, Diamond, Item, Supplier
from diamond_opus.feeds.nivoda.words import OddValueError
from diamond_opus.feeds.protocol import Rejected

S = TypeVar("S", bound=Struct)

_LONGEST_INTEGER = 30
_EXAMPLE_CHARACTERS = 80

#: What PostgreSQL's text and jsonb refuse.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

#: How a field that the mapper interprets is read; what the reader refuses becomes null here.
_READERS: Mapping[type[Struct], Mapping[str, Callable[[Any], object]]] = {
    Certificate: {
        "color": words.read_color,
        "clarity": words.read_clarity,
        "cut": words.read_quality,
        "polish": words.read_quality,
        "symmetry": words.read_quality,
        "floInt": words.read_fluorescence,
        "pdfUrl": words.read_url,
        "length": words.read_extent,
        "width": words.read_extent,
        "depth": words.read_extent,
        "depthPercentage": words.read_extent,
        "table": words.read_extent,
        "crownAngle": words.read_number,
        "crownHeight": words.read_number,
        "pavAngle": words.read_number,
        "pavHeight": words.read_number,
        "pavDepth": words.read_number,
    },
    Delivery: {"min_business_days": words.read_days, "max_business_days": words.read_days},
    Diamond: {
        "image": words.read_url,
        "video": words.read_url,
        "supplier_video_link": words.read_url,
        "return_window": words.read_days,
    },
    Supplier: {},
}


def repair(payload: bytes, warnings: list[Warned]) -> Item | Rejected:
    """The item without its odd fields, each appended to ``warnings``; ``Rejected`` when nothing can be read.

    Numbers and yes-or-no where a text should be, and the other way round, are taken for what they say.
    """
    try:
        value = json.loads(
            payload.decode(), parse_float=_to_decimal, parse_int=_to_integer, parse_constant=str
        )
    except (ValueError, RecursionError):
        return Rejected("$", "the payload is not JSON")
    if not isinstance(value, dict):
        return Rejected("$", "the payload is not an object")
    price = _read_price(value.get("price"), warnings)
    if isinstance(price, Rejected):
        return price
    diamond = value.get("diamond")
    offer_id = value.get("id")
    return Item(
        id=offer_id if isinstance(offer_id, str) else None,
        price=price,
        diamond=_build(Diamond, diamond, "$.diamond", warnings) if isinstance(diamond, dict) else None,
    )


def _build(cls: type[S], value: Mapping[str, Any], path: str, warnings: list[Warned]) -> S:
    fields: dict[str, Any] = {}
    for name, kind in _KINDS[cls].items():
        found = value.get(name)
        here = f"{path}.{name}"
        if found is None:
            continue
        if name == "id":  # an identity is a text or nothing, never something made into one
            fields[name] = found if isinstance(found, str) else None
        elif not isinstance(kind, type):
            fields[name] = _read_field(here, found, kind, _READERS[cls].get(name), warnings)
        elif isinstance(found, dict):
            fields[name] = _build(kind, found, here, warnings)
        else:
            warnings.append(_warned(here, "not an object", found))
    return cls(**fields)


def _read_field(
    path: str,
    value: Any,
    convert: Callable[[Any], Any],
    read: Callable[[Any], object] | None,
    warnings: list[Warned],
) -> Any:
    """The value in the field's own type, or None with a warning."""
    try:
        converted = convert(value)
        if isinstance(converted, str) and _UNSTORABLE.search(converted):
            warnings.append(_warned(path, "characters that no database stores were replaced", converted))
            converted = _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", converted)
        if read is not None:
            read(converted)
    except OddValueError as odd:
        warnings.append(_warned(path, str(odd), value))
        return None
    return converted


def _read_price(value: Any, warnings: list[Warned]) -> int | Rejected | None:
    """Whole cents; a text of nothing but digits is believed, with a warning."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _LONGEST_INTEGER:
        warnings.append(_warned("$.price", "a text where a number should be", value))
        return int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if not isinstance(value, Decimal):
        return Rejected("$.price", "price is not a number")
    if value.adjusted() >= _LONGEST_INTEGER:
        return Rejected("$.price", "price is out of range")
    if value != value.to_integral_value():
        return Rejected("$.price", "price has a fraction of a cent")
    return int(value)


def _to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value:f}" if abs(value.adjusted()) < _LONGEST_INTEGER else str(value)
    raise OddValueError("not a text")


def _to_int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        number = Decimal(value) if isinstance(value, (str, Decimal)) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number.adjusted() >= _LONGEST_INTEGER:
        raise OddValueError("not a whole number")
    if number != number.to_integral_value():
        raise OddValueError("not a whole number")
    return int(number)


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    said = words.read_eye_clean(value) if isinstance(value, str) else None
    if said is None:
        raise OddValueError("neither yes nor no")
    return said


def _to_raw(value: Any) -> Raw:
    """Carats, which the mapper reads from their text; what is no number stays none."""
    return Raw(_to_text(value).encode(errors="replace") if not isinstance(value, (list, dict)) else b"[]")


def _to_decimal(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        return text


def _to_integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _LONGEST_INTEGER else Decimal(text)


def _warned(path: str, reason: str, value: Any) -> Warned:
    return Warned(path, reason, _show(value))


def _show(value: Any) -> str:
    """An example for people: short, and free of what no database stores."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", str(value)[:_EXAMPLE_CHARACTERS])


_CONVERTERS: Mapping[Any, Callable[[Any], Any]] = {str: _to_text, int: _to_int, bool: _to_bool, Raw: _to_raw}


def _kind(hint: Any) -> type[Struct] | Callable[[Any], Any]:
    """The struct a field holds, or how its value is converted."""
    inner = next((part for part in get_args(hint) if part is not NoneType), hint)
    kind: type[Struct] | Callable[[Any], Any] = _CONVERTERS.get(inner, inner)
    return kind


_KINDS: Mapping[type[Struct], Mapping[str, type[Struct] | Callable[[Any], Any]]] = {
    cls: {name: _kind(hint) for name, hint in get_type_hints(cls).items()} for cls in _READERS
}
