"""The rows of ``diamonds`` that consolidation writes: which columns, from where, in which wire format."""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from diamond_opus.domain.stone import Stone
from diamond_opus.pricing.matching import NO_RATING, PricedColumns


def _numeric(scale: int) -> Callable[[int], bytes]:
    """PostgreSQL's binary NUMERIC of a whole number of 10**-scale; scale 2, 3 or 4."""
    factor = 10 ** (4 - scale)

    def encode(value: int) -> bytes:
        sign, value = (0x4000, -value) if value < 0 else (0, value)
        whole, fraction = divmod(value, 10**scale)
        digits: list[int] = []
        while whole:
            whole, digit = divmod(whole, 10_000)
            digits.append(digit)
        weight = len(digits) - 1
        digits.reverse()
        digits.append(fraction * factor)
        return struct.pack(f"!hhHh{len(digits)}h", len(digits), weight, sign, scale, *digits)

    return encode


class _Memo(dict[int, bytes]):
    """Encoded values met before: carats, percentages and prices repeat. Emptied when it has grown large."""

    def __init__(self, encode: Callable[[int], bytes], limit: int = 100_000) -> None:
        super().__init__()
        self._encode = encode
        self._limit = limit

    def __missing__(self, value: int) -> bytes:
        if len(self) >= self._limit:
            self.clear()
        encoded = self[value] = self._encode(value)
        return encoded


@dataclass(frozen=True, slots=True)
class Column:
    """A column, the wire type of what we hand to COPY, and how our value becomes that."""

    name: str
    wire: str
    encode: Callable[[Any], Any] | None = None


def _jsonb(document: bytes) -> bytes:
    return b"\x01" + document


_HUNDREDTHS = _Memo(_numeric(2)).__getitem__
_THOUSANDTHS = _Memo(_numeric(3)).__getitem__
_TEN_THOUSANDTHS = _Memo(_numeric(4)).__getitem__

#: Stone fields that are not simply text of the same name.
_SPECIAL = {
    "carats_hundredths": Column("carats", "bytea", _HUNDREDTHS),
    "feed_price_cents": Column("feed_price", "bytea", _HUNDREDTHS),
    "lab_grown": Column("lab_grown", "bool"),
    "treated": Column("treated", "bool"),
    "measurements": Column("measurements", "bytea", _jsonb),
    "attributes": Column("attributes", "bytea", _jsonb),
    "color_rank": Column("color_rank", "int2"),
    "clarity_rank": Column("clarity_rank", "int2"),
    **{
        name: Column(name, "bytea", _HUNDREDTHS)
        for name in ("length_mm", "width_mm", "depth_mm", "table_percent", "depth_percent")
    },
    "ratio": Column("ratio", "bytea", _THOUSANDTHS),
    "eye_clean": Column("eye_clean", "bool"),
    "delivery_days_min": Column("delivery_days_min", "int4"),
    "delivery_days_max": Column("delivery_days_max", "int4"),
    "returnable": Column("returnable", "bool"),
}

_STONE = [_SPECIAL.get(name, Column(name, "text")) for name in Stone.__struct_fields__]
_OURS = [
    Column("id", "bytea"),
    Column("feed", "text"),
    Column("price_per_carat", "bytea"),
    Column("price_model_price", "bytea"),
    Column("markup_ratio", "bytea"),
    Column("rating", "int4"),
    Column("rule_id", "bytea"),
    Column("raw_hash", "text"),
    Column("last_seen_at", "int8"),
]

#: Every column that consolidation writes, in the order of the rows.
COLUMNS: Sequence[Column] = (*_STONE, *_OURS)
#: What tells one content from another: all but when the stone was last seen.
CONTENT: Sequence[str] = tuple(column.name for column in COLUMNS if column.name != "last_seen_at")
WIRE_TYPES = [column.wire for column in COLUMNS]

_ENCODED = [(at, column.encode) for at, column in enumerate(_STONE) if column.encode]


@dataclass(frozen=True, slots=True)
class Source:
    """What a row takes from the raw table unchanged, in PostgreSQL's binary form."""

    id: bytes
    raw_hash: str
    last_seen_at: int


def rows(
    feed: str, stones: Sequence[Stone], sources: Sequence[Source], priced: PricedColumns
) -> Iterator[tuple[Any, ...]]:
    """Finished rows for COPY: 5 microseconds each, of which the half is the driver's."""
    rule_ids = [None if rule is None else UUID(str(rule)).bytes for rule in priced.rule_ids]
    for stone, source, per_carat, price, ratio, rating, rule in zip(
        stones,
        sources,
        priced.price_per_carat_cents.tolist(),
        priced.price_model_price_cents.tolist(),
        priced.markup_ratio_e4.tolist(),
        priced.rating.tolist(),
        priced.rule_index.tolist(),
        strict=True,
    ):
        values = list(msgspec.structs.astuple(stone))
        for at, encode in _ENCODED:
            value = values[at]
            if value is not None:
                values[at] = encode(value)
        values += (
            source.id,
            feed,
            _HUNDREDTHS(per_carat),
            _HUNDREDTHS(price),
            _TEN_THOUSANDTHS(ratio),
            None if rating == NO_RATING else rating,
            rule_ids[rule],
            source.raw_hash,
            source.last_seen_at,
        )
        yield tuple(values)
