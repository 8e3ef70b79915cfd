"""Which fields an answer shows of a stone, under which JSON name, from which SQL, and to whom."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, LiteralString

import orjson
from psycopg import AsyncCursor, sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.rows import dict_row

from diamond_opus.db.pool import Connection


@dataclass(frozen=True, slots=True)
class Field:
    """A JSON name and the SQL of its value; ``cost`` fields are shown only to who has that permission."""

    name: LiteralString
    source: LiteralString
    cost: bool = False
    is_time: bool = False


def _dollars(name: LiteralString, column: LiteralString, *, cost: bool = False) -> Field:
    """Whole cents of a NUMERIC(12,2)."""
    return Field(name, "(" + column + " * 100)::bigint", cost)


def _number(name: LiteralString, column: LiteralString, *, cost: bool = False) -> Field:
    """A NUMERIC as the nearest double, whose shortest text has the same digits again."""
    return Field(name, column + "::float8", cost)


FIELDS: Sequence[Field] = (
    Field("id", "id"),
    Field("feed", "feed"),
    Field("supplierStoneId", "supplier_stone_id", cost=True),
    Field("offerId", "offer_id", cost=True),
    Field("shape", "shape"),
    _number("carats", "carats"),
    Field("color", "color"),
    Field("clarity", "clarity"),
    Field("cut", "cut"),
    Field("polish", "polish"),
    Field("symmetry", "symmetry"),
    Field("fluorescence", "fluorescence"),
    Field("fancyColor", "fancy_color"),
    Field("fancyIntensity", "fancy_intensity"),
    Field("fancyOvertone", "fancy_overtone"),
    Field("labGrown", "lab_grown"),
    Field("treated", "treated"),
    _dollars("feedPriceCents", "feed_price", cost=True),
    _dollars("pricePerCaratCents", "price_per_carat", cost=True),
    _dollars("priceModelPriceCents", "price_model_price"),
    Field(
        "priceModelPricePerCaratCents",
        "(round(price_model_price / nullif(carats, 0), 2) * 100)::bigint",
    ),
    _number("markupRatio", "markup_ratio", cost=True),
    Field("ruleId", "rule_id", cost=True),
    Field("rating", "rating"),
    Field("availability", "availability"),
    Field("rawAvailability", "raw_availability"),
    Field("holdId", "hold_id", cost=True),
    Field("imageUrl", "image_url"),
    Field("videoUrl", "video_url"),
    Field("certificateLab", "certificate_lab"),
    Field("certificateNumber", "certificate_number"),
    Field("certificatePdfUrl", "certificate_pdf_url"),
    _number("lengthMm", "length_mm"),
    _number("widthMm", "width_mm"),
    _number("depthMm", "depth_mm"),
    _number("ratio", "ratio"),
    _number("tablePercent", "table_percent"),
    _number("depthPercent", "depth_percent"),
    Field("eyeClean", "eye_clean"),
    Field("deliveryDaysMin", "delivery_days_min"),
    Field("deliveryDaysMax", "delivery_days_max"),
    Field("returnable", "returnable"),
    Field("measurements", "measurements"),
    Field("attributes", "attributes"),
    Field("supplierName", "supplier_name", cost=True),
    Field("supplierLegalName", "supplier_legal_name", cost=True),
    Field("status", "status"),
    Field("sourceUpdatedAt", "source_updated_at", is_time=True),
    Field("lastSeenAt", "last_seen_at", is_time=True),
    Field("createdAt", "created_at", is_time=True),
    Field("updatedAt", "updated_at", is_time=True),
    Field("deletedAt", "deleted_at", is_time=True),
)


def shown_fields(*, with_cost: bool, names: tuple[str, ...] = ()) -> list[Field]:
    """The fields that an answer shows, in their order; ``names`` asks for some of them, and the id."""
    return [
        field
        for field in FIELDS
        if (with_cost or not field.cost) and (not names or field.name in names or field.name == "id")
    ]


@lru_cache(maxsize=256)
def select_list(*, with_cost: bool, names: tuple[str, ...] = ()) -> sql.SQL:
    """The SELECT list of a stone, each value under its JSON name.

    Rendered once for each choice, because that takes 0.2 ms.
    """
    shown = shown_fields(with_cost=with_cost, names=names)
    return sql.SQL(",\n    ".join(field.source + ' AS "' + field.name + '"' for field in shown))


def needs_cost(names: Iterable[str]) -> list[str]:
    """Those of the fields that only ``cost`` shows."""
    confidential = {field.name for field in FIELDS if field.cost}
    return [name for name in names if name in confidential]


def answer_cursor(conn: Connection) -> AsyncCursor[dict[str, Any]]:
    """A cursor whose rows are finished answers, ready for orjson; JSON columns stay the text they are."""
    cursor = conn.cursor(row_factory=dict_row)
    cursor.adapters.register_loader("jsonb", _JsonAsItIs)
    return cursor


class _JsonAsItIs(Loader):
    def load(self, data: Buffer) -> orjson.Fragment:
        return orjson.Fragment(bytes(data))
