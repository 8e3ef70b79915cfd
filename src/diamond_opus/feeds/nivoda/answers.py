"""How the supplier's answers are read: typed, item by item, every item's bytes kept exactly as they came."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from diamond_opus.feeds.nivoda import lenient
from diamond_opus.feeds.protocol import NONE_KNOWN, KnownItems, Page, RawItem, Unreadable

T = TypeVar("T")

#: A longer id is no id: it would not fit a database index.
_MAX_ID_CHARACTERS = 200
_MAX_DIGITS = 18

#: A page is asked for 50 items. One that has some more is read; from this on it is no page.
_MOST_ITEMS = 1_000


class Envelope(Struct, Generic[T]):
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


class _DiamondData(Struct):
    get_diamond_by_id: Raw = Raw(b"null")


_decode_login = msgspec.json.Decoder(Envelope[_LoginData]).decode
_decode_count = msgspec.json.Decoder(Envelope[_CountData]).decode
_decode_page = msgspec.json.Decoder(Envelope[_PageData]).decode
_decode_diamond = msgspec.json.Decoder(Envelope[_DiamondData]).decode
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


def read_page(body: bytes, known: KnownItems = NONE_KNOWN) -> tuple[Page | None, Sequence[Any]]:
    """A page, its nulls explained by the errors beside it."""
    items, errors = read_items(body)
    if items is None:
        return None, errors
    return Page(read_rows(items, errors, "$.data.diamonds_by_query.items", known)), errors


def read_diamond(body: bytes) -> tuple[bytes | None, Sequence[Any]]:
    """The exact bytes of a single item."""
    envelope = _decode_diamond(body)
    payload = bytes(envelope.data.get_diamond_by_id) if envelope.data is not None else b"null"
    return None if payload == b"null" else payload, envelope.errors or ()


def read_items(body: bytes) -> tuple[list[bytes] | None, Sequence[Any]]:
    """The exact bytes of each item of a page (None: no list of items) and the errors beside them.

    One item with a broken text (a lone surrogate, bytes that are not UTF-8) does not cost the page. Raises
    ``msgspec.DecodeError`` when the body is not JSON or not a page.
    """
    items, errors = _split_items(body)
    if items is None:
        return None, errors
    if len(items) > _MOST_ITEMS:
        raise msgspec.ValidationError(f"{len(items)} items, at most {_MOST_ITEMS} are read")
    return [bytes(item) for item in items], errors


def _split_items(body: bytes) -> tuple[Sequence[bytes | Raw] | None, Sequence[Any]]:
    try:
        envelope = _decode_page(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return lenient.split_items(body)
    found = envelope.data.diamonds_by_query if envelope.data is not None else None
    return (None if found is None else found.items), envelope.errors or ()


def read_rows(
    items: Sequence[bytes], errors: Sequence[Any], path: str, known: KnownItems = NONE_KNOWN
) -> list[RawItem | Unreadable]:
    """Each item with its identity, or why it has none; ``path`` is the list's place in the answer.

    Finding an item among ``known`` takes half a microsecond, identifying it five.
    """
    return [
        known.get(payload) or _read_row(payload, errors, path, index) for index, payload in enumerate(items)
    ]


def _read_row(payload: bytes, errors: Sequence[Any], path: str, index: int) -> RawItem | Unreadable:
    if payload == b"null":
        return _null_item(errors, path, index)
    return identify(payload, f"{path}[{index}]")


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
    except (msgspec.DecodeError, RecursionError):
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
        price_cents=int(price) if price.isdigit() and len(price) < _MAX_DIGITS else None,
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
    try:
        item = lenient.load(payload.decode())
    except (ValueError, RecursionError):
        return _Identity()
    diamond = item.get("diamond") if isinstance(item, dict) else None
    if not isinstance(diamond, dict):
        return _Identity()
    return _Identity(id=item.get("id"), diamond=_DiamondId(id=diamond.get("id")))
