"""The rows of ``diamonds`` that consolidation writes: which columns, from where, in which form they are copied."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from diamond_opus.db import copy
from diamond_opus.domain.stone import Stone
from diamond_opus.pricing.matching import NO_RATING, PricedColumns

#: Stone fields that are not text of few values under the same name.
_SPECIAL: dict[str, tuple[str, copy.Encoder]] = {
    "supplier_stone_id": ("supplier_stone_id", copy.text(varied=True)),
    "offer_id": ("offer_id", copy.text(varied=True)),
    "carats_hundredths": ("carats", copy.numeric(2)),
    "lab_grown": ("lab_grown", copy.boolean()),
    "treated": ("treated", copy.boolean()),
    "feed_price_cents": ("feed_price", copy.numeric(2, varied=True)),
    "hold_id": ("hold_id", copy.text(varied=True)),
    "image_url": ("image_url", copy.text(varied=True)),
    "video_url": ("video_url", copy.text(varied=True)),
    "certificate_number": ("certificate_number", copy.text(varied=True)),
    "certificate_pdf_url": ("certificate_pdf_url", copy.text(varied=True)),
    "measurements": ("measurements", copy.jsonb()),
    "attributes": ("attributes", copy.jsonb()),
    "color_rank": ("color_rank", copy.int2()),
    "clarity_rank": ("clarity_rank", copy.int2()),
    "length_mm": ("length_mm", copy.numeric(2)),
    "width_mm": ("width_mm", copy.numeric(2)),
    "depth_mm": ("depth_mm", copy.numeric(2)),
    "table_percent": ("table_percent", copy.numeric(2)),
    "depth_percent": ("depth_percent", copy.numeric(2)),
    "ratio": ("ratio", copy.numeric(3)),
    "eye_clean": ("eye_clean", copy.boolean()),
    "delivery_days_min": ("delivery_days_min", copy.int4()),
    "delivery_days_max": ("delivery_days_max", copy.int4()),
    "returnable": ("returnable", copy.boolean()),
}

_COLUMNS: list[tuple[str, copy.Encoder]] = [
    *(_SPECIAL.get(name, (name, copy.text())) for name in Stone.__struct_fields__),
    ("id", copy.uuid()),
    ("feed", copy.text()),
    ("price_per_carat", copy.numeric(2, varied=True)),
    ("price_model_price", copy.numeric(2, varied=True)),
    ("markup_ratio", copy.numeric(4)),
    ("rating", copy.int4()),
    ("rule_id", copy.uuid()),
    ("raw_hash", copy.text(varied=True)),
    ("last_seen_at", copy.int8()),
]
_ROWS = copy.BinaryRows(*(encoder for _, encoder in _COLUMNS))

#: Every column that consolidation writes, in the order of the rows.
COLUMNS: Sequence[str] = tuple(name for name, _ in _COLUMNS)
#: What tells one content from another: all but when the stone was last seen.
CONTENT: Sequence[str] = tuple(name for name in COLUMNS if name != "last_seen_at")


@dataclass(frozen=True, slots=True)
class Sources:
    """What rows take from the raw table, by column: 16 bytes of id, hash, and microseconds since 2000-01-01."""

    ids: Sequence[bytes]
    raw_hashes: Sequence[str]
    last_seen_at: Sequence[int]


def columns_of(
    feed: str, stones: Sequence[Stone], sources: Sources, priced: PricedColumns
) -> list[Sequence[Any]]:
    """The values of COLUMNS, one sequence each, a value a stone."""
    if not stones:
        return [() for _ in COLUMNS]
    rules = [None if rule is None else UUID(str(rule)).bytes for rule in priced.rule_ids]
    return [
        *zip(*map(msgspec.structs.astuple, stones), strict=True),
        sources.ids,
        [feed] * len(stones),
        priced.price_per_carat_cents.tolist(),
        priced.price_model_price_cents.tolist(),
        priced.markup_ratio_e4.tolist(),
        [None if rating == NO_RATING else rating for rating in priced.rating.tolist()],
        [rules[at] for at in priced.rule_index.tolist()],
        sources.raw_hashes,
        sources.last_seen_at,
    ]


def pick(columns: Sequence[Sequence[Any]], positions: Sequence[int]) -> list[Sequence[Any]]:
    """The same columns with only some of their rows."""
    return [[column[at] for at in positions] for column in columns]


def as_copy(columns: Sequence[Sequence[Any]]) -> Iterator[bytes]:
    """All that ``COPY … (COLUMNS) FROM STDIN (FORMAT BINARY)`` wants to read."""
    return _ROWS.stream([columns])
