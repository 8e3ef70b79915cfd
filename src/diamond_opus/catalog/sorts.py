"""In which orders a search may come, and the cursor that continues one exactly where a page ended.

A stone whose sort key does not change while a client follows cursors is returned exactly once: the order is total
(the id decides between equal keys), nulls stand last in both directions, and keys travel unrounded.
"""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import orjson
from psycopg import sql

from diamond_opus.catalog.parameters import BadValueError

_MOST_CURSOR_CHARACTERS = 500
_VERSION = 1
_WHOLE = re.compile(r"[0-9]{1,5}")
_DECIMAL = re.compile(r"[0-9]{1,16}(?:\.[0-9]{1,4})?")


def _read_whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _read_decimal(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _read_moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort key: its SQL, how its value comes back out of a cursor, and who may use it.

    ``column`` is the same key in the index in memory (None: SQL sorts by it), and ``to_whole`` makes the index's whole
    number of a value.
    """

    name: str
    key: LiteralString
    read: Callable[[str], Any]
    column: str | None
    to_whole: Callable[[Any], int] = int
    nullable: bool = False
    needs: str | None = None

    def order_by(self, *, descending: bool) -> sql.Composed:
        direction = sql.SQL("DESC" if descending else "ASC")
        # Without NULLS LAST where there are none: the index in its own order serves then.
        nulls = sql.SQL(" NULLS LAST" if self.nullable and descending else "")
        return sql.SQL("{} {}{}, id {}").format(sql.SQL(self.key), direction, nulls, direction)

    def after(self, key: Any, *, descending: bool) -> sql.Composed:
        """What comes after the stone with ``%(after_key)s`` and ``%(after_id)s`` in this order."""
        beyond = sql.SQL("<" if descending else ">")
        column = sql.SQL(self.key)
        if key is None:
            return sql.SQL("{} IS NULL AND id {} %(after_id)s").format(column, beyond)
        rest = sql.SQL("({}, id) {} (%(after_key)s, %(after_id)s)").format(column, beyond)
        return sql.SQL("({} OR {} IS NULL)").format(rest, column) if self.nullable else rest


_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _hundredths(value: Decimal) -> int:
    return int(value * 100)


def _microseconds(moment: datetime) -> int:
    """Since 2000-01-01, as PostgreSQL counts."""
    return (moment - _EPOCH) // _MICROSECOND


_CREATED_AT = Sort("created_at", "created_at", _read_moment, "created_at", _microseconds)
_PRICE = Sort("price", "price_model_price", _read_decimal, "price_model_price", _hundredths)
_COST = Sort("feed_price", "feed_price", _read_decimal, "feed_price", _hundredths, needs="cost")
_SORTS = (
    _CREATED_AT,
    Sort("updated_at", "updated_at", _read_moment, None),
    _PRICE,
    Sort(
        "price_per_carat",
        "round(price_model_price / nullif(carats, 0), 2)",
        _read_decimal,
        "price_per_carat",
        _hundredths,
        nullable=True,
    ),
    Sort("carats", "carats", _read_decimal, "carats", _hundredths),
    Sort("color", "color_rank", _read_whole, "color_rank", nullable=True),
    Sort("clarity", "clarity_rank", _read_whole, "clarity_rank", nullable=True),
    Sort("rating", "rating", _read_whole, "rating", nullable=True),
    _COST,
)

DEFAULT_SORT = _CREATED_AT
#: By every name that ``sort_by`` takes: the field's own and SPEC's older ones.
SORTS: Mapping[str, Sort] = {sort.name: sort for sort in _SORTS} | {
    "price_model_price": _PRICE,
    "supplier_price_cents": _COST,
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended: the order, the last stone's key and id, and a digest of the filters it belongs to."""

    sort: Sort
    descending: bool
    key: Any
    id: UUID
    filters_digest: str


def write_cursor(cursor: Cursor) -> str:
    """A cursor as a client carries it."""
    key = cursor.key.isoformat() if isinstance(cursor.key, datetime) else cursor.key
    fields = [
        _VERSION,
        cursor.sort.name,
        cursor.descending,
        None if key is None else str(key),
        str(cursor.id),
        cursor.filters_digest,
    ]
    return urlsafe_b64encode(orjson.dumps(fields)).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class CursorText:
    """The kind of the parameter ``cursor``: nothing that was not written by ``write_cursor`` reaches the database."""

    def read(self, text: str) -> Cursor:
        try:
            return _read_cursor(text)
        except (ValueError, TypeError, KeyError, OverflowError, binascii.Error) as error:
            raise BadValueError(
                "is not a cursor; take nextCursor of the page before, or leave it out"
            ) from error

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": _MOST_CURSOR_CHARACTERS}


def _read_cursor(text: str) -> Cursor:
    if len(text) > _MOST_CURSOR_CHARACTERS or not text.isascii():
        raise ValueError(text[:_MOST_CURSOR_CHARACTERS])
    fields = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    version, name, descending, key, stone_id, digest = fields
    sort = SORTS[name]
    kinds = (descending, bool), (stone_id, str), (digest, str)
    if version != _VERSION or not all(isinstance(value, kind) for value, kind in kinds):
        raise ValueError(text)
    if key is None and not sort.nullable:
        raise ValueError(text)
    return Cursor(sort, descending, None if key is None else sort.read(key), UUID(stone_id), digest)
