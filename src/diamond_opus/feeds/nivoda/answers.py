"""How the supplier's answers are read: typed, item by item, every item's bytes kept exactly as they came."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from diamond_opus.feeds.protocol import Page, RawItem, Unreadable

T = TypeVar("T")

#: A longer id is no id: it would not fit a database index.
_MAX_ID_CHARACTERS = 200
_MAX_PRICE_DIGITS = 18


class _Envelope(Struct, Generic[T]):
    """A GraphQL answer; a part that fails to serialise leaves ``errors`` beside ``data``."""

    data: T | None = None
    errors: list[Any] | None = None


class _Token(Struct):
    token: str


class _Session(Struct):
    username_and_password: _Token | None = None


class _LoginData(Struct):
    authenticate: _Session | None = None


class _CountData(Struct):
    diamonds_by_query_count: Annotated[int, Meta(ge=0)] | None = None


class _Items(Struct):
    items: list[Raw] | None = None


class _PageData(Struct):
    diamonds_by_query: _Items | None = None


class _DiamondId(Struct, gc=False):
    id: Any = None


class _Identity(Struct, gc=False):
    id: Any = None
    price: Raw = Raw(b"null")
    diamond: _DiamondId | None = None


_decode_login = msgspec.json.Decoder(_Envelope[_LoginData]).decode
_decode_count = msgspec.json.Decoder(_Envelope[_CountData]).decode
_decode_page = msgspec.json.Decoder(_Envelope[_PageData]).decode
_decode_identity = msgspec.json.Decoder(_Identity).decode


def read_login(body: bytes) -> tuple[str | None, Sequence[Any]]:
    """The token; None where the session is null."""
    envelope = _decode_login(body)
    session = envelope.data.authenticate if envelope.data is not None else None
    found = session.username_and_password if session is not None else None
    return (found.token or None if found is not None else None), envelope.errors or ()


def read_count(body: bytes) -> tuple[int | None, Sequence[Any]]:
    envelope = _decode_count(body)
    return (
        envelope.data.diamonds_by_query_count if envelope.data is not None else None
    ), envelope.errors or ()


def read_page(body: bytes) -> tuple[Page | None, Sequence[Any]]:
    """A page, its nulls explained by the errors beside it."""
    items, errors = read_items(body)
    if items is None:
        return None, errors
    return Page(read_rows(items, errors, "$.data.diamonds_by_query.items")), errors


def read_items(body: bytes) -> tuple[list[bytes] | None, Sequence[Any]]:
    """The exact bytes of each item of a page (None: no list of items) and the errors beside them.

    One item with a broken text (a lone surrogate, bytes that are not UTF-8) does not cost the page. Raises
    ``msgspec.DecodeError`` when the body is not JSON or not a page.
    """
    try:
        envelope = _decode_page(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _split_leniently(body)
    found = envelope.data.diamonds_by_query if envelope.data is not None else None
    items = None if found is None or found.items is None else [bytes(item) for item in found.items]
    return items, envelope.errors or ()


def read_rows(items: Sequence[bytes], errors: Sequence[Any], path: str) -> list[RawItem | Unreadable]:
    """Each item with its identity, or why it has none; ``path`` is the list's place in the answer."""
    return [
        identify(payload, f"{path}[{index}]") if payload != b"null" else _null_item(errors, path, index)
        for index, payload in enumerate(items)
    ]


def _null_item(errors: Sequence[Any], path: str, index: int) -> Unreadable:
    """An item goes null when a field of it failed that may not be null; the errors name that field."""
    position = [*path.removeprefix("$.data.").split("."), index]
    for error in errors:
        at = error.get("path") if isinstance(error, dict) else None
        if isinstance(at, list) and at[: len(position)] == position:
            field = ".".join(str(part) for part in at[len(position) :])
            reason = f"null item, {field or 'it'} failed at the supplier: {error.get('message')}"
            return Unreadable(reason, f"{path}[{index}]", b"null")
    return Unreadable("null item", f"{path}[{index}]", b"null")


def identify(payload: bytes, path: str) -> RawItem | Unreadable:
    """An item that is not a null, with its identity; ``path`` is its place in the answer."""
    if not payload.isascii() and not _is_utf8(payload):
        return Unreadable("the item is not UTF-8", path, payload)
    try:
        identity = _decode_identity(payload)
    except msgspec.DecodeError:
        identity = _identity_leniently(payload)
    if identity.diamond is None:
        return Unreadable("the item has no diamond", f"{path}.diamond", payload)
    stone_id = identity.diamond.id
    if not _is_id(stone_id):
        return Unreadable("the diamond has no usable id", f"{path}.diamond.id", payload)
    price = bytes(identity.price)
    return RawItem(
        supplier_stone_id=stone_id,
        offer_id=identity.id if _is_id(identity.id) else "",
        payload=payload,
        payload_hash=hashlib.sha256(payload).hexdigest(),
        price_cents=int(price) if price.isdigit() and len(price) < _MAX_PRICE_DIGITS else None,
    )


def _is_id(value: Any) -> bool:
    return type(value) is str and 0 < len(value) <= _MAX_ID_CHARACTERS and value.isprintable()


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _identity_leniently(payload: bytes) -> _Identity:
    """The identity of an item that the strict reader refuses; its price is left to the mapper."""
    item = _load(payload.decode())
    diamond = item.get("diamond") if isinstance(item, dict) else None
    if not isinstance(diamond, dict):
        return _Identity()
    return _Identity(id=item.get("id"), diamond=_DiamondId(id=diamond.get("id")))


def _load(text: str) -> Any:
    """JSON with lone surrogates allowed and numbers dropped; NaN is refused, as PostgreSQL refuses it."""
    return json.loads(text, parse_int=_drop, parse_float=_drop, parse_constant=_refuse)


def _drop(_number: str) -> None:
    return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _split_leniently(body: bytes) -> tuple[list[bytes] | None, Sequence[Any]]:
    """:func:`read_items` by the standard library's slower and more forgiving reader.

    The body is read with bytes that are not UTF-8 escaped, so that each item's bytes can be had back exactly.
    """
    text = body.decode(errors="surrogateescape")
    try:
        answer = _load(text)
        data = answer.get("data") or {}
        found = data.get("diamonds_by_query")
        if not isinstance(found, dict) or not isinstance(found.get("items"), list):
            return None, answer.get("errors") or ()
        start = text.index("[", _find_value(text, ("data", "diamonds_by_query", "items")))
    except (ValueError, AttributeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
    return [item.encode(errors="surrogateescape") for item in _elements(text, start)], answer.get(
        "errors"
    ) or ()


_scan = json.JSONDecoder().raw_decode
_BLANKS = " \t\n\r"


def _find_value(text: str, path: Sequence[str]) -> int:
    """Where the value at ``path`` begins in valid JSON; of a repeated name the last counts, as elsewhere."""
    position = _skip(text, 0)
    for wanted in path:
        found = position
        cursor = _skip(text, position + 1)
        while text[cursor] == '"':
            name, cursor = _scan(text, cursor)
            cursor = _skip(text, _skip(text, cursor) + 1)
            if name == wanted:
                found = cursor
            cursor = _skip(text, _scan(text, cursor)[1])
            cursor = _skip(text, cursor + 1) if text[cursor] == "," else cursor
        position = found
    return position


def _elements(text: str, start: int) -> list[str]:
    """The texts of a JSON list's elements; ``start`` is at its bracket."""
    elements = []
    cursor = _skip(text, start + 1)
    while text[cursor] != "]":
        end = _scan(text, cursor)[1]
        elements.append(text[cursor:end])
        cursor = _skip(text, end)
        cursor = _skip(text, cursor + 1) if text[cursor] == "," else cursor
    return elements


def _skip(text: str, cursor: int) -> int:
    while text[cursor] in _BLANKS:
        cursor += 1
    return cursor
