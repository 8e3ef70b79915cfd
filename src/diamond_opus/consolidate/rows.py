"""The rows of ``diamonds`` that consolidation writes: which columns, from where, as PostgreSQL's binary COPY.

A hot path. Columns are encoded one after another, because most hold few different values whose encoding is met
again (a dict look-up in C), and prices are encoded as whole columns: 3 microseconds for a row of 49 columns, where
the driver's own row-wise encoding takes 20.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from diamond_opus.domain.stone import Stone
from diamond_opus.pricing.matching import NO_RATING, PricedColumns

Encoded = Iterable[bytes]
Encoder = Callable[[Any], Encoded]

_NULL = b"\xff\xff\xff\xff"
_SIGNATURE = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"
_pack_length = struct.Struct("!i").pack

#: Values remembered per column; it is emptied when a column turns out to hold more.
_MOST_REMEMBERED = 50_000


class _Memo(dict[Any, bytes]):
    """Finished fields (length and bytes) of values met before; None is NULL."""

    def __init__(self, encode: Callable[[Any], bytes]) -> None:
        super().__init__()
        self._encode = encode
        self[None] = _NULL

    def __missing__(self, value: Any) -> bytes:
        if len(self) > _MOST_REMEMBERED:
            self.clear()
            self[None] = _NULL
        data = self._encode(value)
        field = self[value] = _pack_length(len(data)) + data
        return field


def _remembered(encode: Callable[[Any], bytes]) -> Encoder:
    memo = _Memo(encode)
    return lambda values: map(memo.__getitem__, values)


def _texts(values: Sequence[str | None]) -> Encoded:
    """Texts of which nearly every one is new."""
    return [_NULL if v is None else _pack_length(len(data := v.encode())) + data for v in values]


def _uuids(values: Sequence[bytes]) -> Encoded:
    return [b"\x00\x00\x00\x10" + v for v in values]


def _documents(values: Sequence[bytes | None]) -> Encoded:
    """JSONB from finished JSON: a version byte goes first."""
    return [_NULL if v is None else _pack_length(len(v) + 1) + b"\x01" + v for v in values]


def _numeric(scale: int) -> Callable[[int], bytes]:
    """NUMERIC from a whole number of 10**-scale, for scales of 2 to 4 and up to 99,999,999 whole units."""
    shift = 10 ** (4 - scale)

    def encode(value: int) -> bytes:
        whole, fraction = divmod(value, 10**scale)
        return struct.pack("!8h", 3, 1, 0, scale, whole // 10_000, whole % 10_000, fraction * shift, 0)[:14]

    return encode


_MONEY = np.dtype(
    [("length", ">i4"), ("digits", ">i2"), ("weight", ">i2"), ("sign", ">i2"), ("scale", ">i2")]
    + [(f"digit{at}", ">i2") for at in range(4)]
)


def _money(cents: Sequence[int] | NDArray[np.int64]) -> Encoded:
    """NUMERIC(12,2) from a column of cents; leading zero digits are the server's to strip."""
    dollars, rest = np.divmod(np.asarray(cents, dtype=np.int64), 100)
    fields = np.zeros(len(dollars), _MONEY)
    fields["length"], fields["digits"], fields["weight"], fields["scale"] = 16, 4, 2, 2
    fields["digit0"] = dollars // 100_000_000
    fields["digit1"] = dollars // 10_000 % 10_000
    fields["digit2"] = dollars % 10_000
    fields["digit3"] = rest * 100
    data, size = fields.tobytes(), _MONEY.itemsize
    return [data[at : at + size] for at in range(0, len(data), size)]


_text = _remembered(str.encode)
_bool = _remembered(lambda value: b"\x01" if value else b"\x00")
_int2 = _remembered(struct.Struct("!h").pack)
_int4 = _remembered(struct.Struct("!i").pack)
_hundredths = _remembered(_numeric(2))

#: Stone fields that are not text of few values under the same name.
_SPECIAL: dict[str, tuple[str, Encoder]] = {
    "supplier_stone_id": ("supplier_stone_id", _texts),
    "offer_id": ("offer_id", _texts),
    "carats_hundredths": ("carats", _hundredths),
    "lab_grown": ("lab_grown", _bool),
    "treated": ("treated", _bool),
    "feed_price_cents": ("feed_price", _money),
    "hold_id": ("hold_id", _texts),
    "image_url": ("image_url", _texts),
    "video_url": ("video_url", _texts),
    "certificate_number": ("certificate_number", _texts),
    "certificate_pdf_url": ("certificate_pdf_url", _texts),
    "measurements": ("measurements", _documents),
    "attributes": ("attributes", _documents),
    "color_rank": ("color_rank", _int2),
    "clarity_rank": ("clarity_rank", _int2),
    "length_mm": ("length_mm", _hundredths),
    "width_mm": ("width_mm", _hundredths),
    "depth_mm": ("depth_mm", _hundredths),
    "table_percent": ("table_percent", _hundredths),
    "depth_percent": ("depth_percent", _hundredths),
    "ratio": ("ratio", _remembered(_numeric(3))),
    "eye_clean": ("eye_clean", _bool),
    "delivery_days_min": ("delivery_days_min", _int4),
    "delivery_days_max": ("delivery_days_max", _int4),
    "returnable": ("returnable", _bool),
}

_STONE = [_SPECIAL.get(name, (name, _text)) for name in Stone.__struct_fields__]
_OURS: list[tuple[str, Encoder]] = [
    ("id", _uuids),
    ("feed", _text),
    ("price_per_carat", _money),
    ("price_model_price", _money),
    ("markup_ratio", _remembered(_numeric(4))),
    ("rating", _int4),
    ("rule_id", _remembered(lambda rule: UUID(str(rule)).bytes)),
    ("raw_hash", _texts),
    ("last_seen_at", _remembered(struct.Struct("!q").pack)),
]
_ENCODERS = [encode for _, encode in (*_STONE, *_OURS)]
_ROW_START = struct.pack("!h", len(_ENCODERS))

#: Every column that consolidation writes, in the order of the rows.
COLUMNS: Sequence[str] = tuple(name for name, _ in (*_STONE, *_OURS))
#: What tells one content from another: all but when the stone was last seen.
CONTENT: Sequence[str] = tuple(name for name in COLUMNS if name != "last_seen_at")


@dataclass(frozen=True, slots=True)
class Sources:
    """What rows take from the raw table, by column: 16 bytes of id, hash, and microseconds since 2000-01-01."""

    ids: Sequence[bytes]
    raw_hashes: Sequence[str]
    last_seen_at: Sequence[int]


def encode_rows(feed: str, stones: Sequence[Stone], sources: Sources, priced: PricedColumns) -> list[bytes]:
    """One finished COPY row for each stone; put them between ``start`` and ``end``."""
    if not stones:
        return []
    ratings = [None if rating == NO_RATING else rating for rating in priced.rating.tolist()]
    columns: list[Any] = [
        *zip(*map(msgspec.structs.astuple, stones), strict=True),
        sources.ids,
        [feed] * len(stones),
        priced.price_per_carat_cents,
        priced.price_model_price_cents,
        priced.markup_ratio_e4.tolist(),
        ratings,
        priced.matched_rule_ids().tolist(),
        sources.raw_hashes,
        sources.last_seen_at,
    ]
    fields = [encode(column) for encode, column in zip(_ENCODERS, columns, strict=True)]
    starts = [_ROW_START] * len(stones)
    return list(map(b"".join, zip(starts, *fields, strict=True)))


def as_copy(rows: Iterable[bytes]) -> bytes:
    """The whole input of a ``COPY … FROM STDIN (FORMAT BINARY)``."""
    return b"".join((_SIGNATURE, *rows, _TRAILER))
