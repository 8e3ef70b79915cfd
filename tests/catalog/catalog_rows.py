"""A few hundred random stones for the tests of search, as plain dicts of ``diamonds``' columns, and their loading."""

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.types.json import Jsonb

from diamond_opus.domain.grades import CLARITY_RANK, COLOR_RANK

Row = dict[str, Any]

_START = datetime(2026, 1, 1, tzinfo=UTC)
_SHAPES = ("ROUND", "OVAL", "CUSHION BRILLIANT", "ASSCHER")


def make_rows(count: int, seed: int) -> Sequence[Row]:
    """Stones with many equal sort keys and many nulls, one in twelve of them removed."""
    rng = random.Random(seed)
    return [_make_row(rng, number) for number in range(count)]


async def load_rows(conn: AsyncConnection[Any], rows: Sequence[Row]) -> None:
    columns = [name for name in rows[0] if name != "availability"]
    statement = sql.SQL("COPY diamonds ({}) FROM STDIN").format(
        sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    async with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(
                [Jsonb(row[name]) if isinstance(row[name], dict) else row[name] for name in columns]
            )


def _make_row(rng: random.Random, number: int) -> Row:
    carats = Decimal(rng.randint(20, 300)).scaleb(-2) if rng.random() < 0.7 else Decimal("1.00")
    cost = Decimal(rng.randint(10_000, 900_000)).scaleb(-2)
    ratio = rng.choice([Decimal("1.1500"), Decimal("1.3333")])
    color = rng.choice([None, "D", "E", "G", "OP", "FANCY"])
    fancy = color if color == "FANCY" else None
    clarity = rng.choice([None, "FL", "VS1", "SI2"])
    feed_availability = rng.choice(["available", "available", "on_hold", "sold", "unavailable"])
    local_status = rng.choice([None, None, None, "on_hold", "sold"])
    is_deleted = rng.random() < 1 / 12
    # Loaded in batches: many stones share one moment, microseconds included.
    created_at = _START + timedelta(microseconds=rng.randint(0, 12) * 333_333)
    return {
        "id": UUID(int=rng.getrandbits(128)),
        "feed": rng.choice(["nivoda", "other"]),
        "supplier_stone_id": f"stone-{number}",
        "offer_id": f"DIAMOND/{number}",
        "shape": rng.choice(_SHAPES),
        "carats": carats,
        "color": color,
        "clarity": clarity,
        "cut": rng.choice([None, "EX", "VG", "ID"]),
        "polish": rng.choice([None, "EX", "G"]),
        "symmetry": rng.choice([None, "EX", "F"]),
        "fluorescence": rng.choice([None, "NON", "STG"]),
        "lab_grown": rng.random() < 0.5,
        "treated": rng.random() < 0.1,
        "feed_price": cost,
        "price_per_carat": (cost / carats).quantize(Decimal("0.01")),
        "price_model_price": (cost * ratio).quantize(Decimal("0.01"))
        if rng.random() < 0.8
        else Decimal("1000.00"),
        "markup_ratio": ratio,
        "rating": rng.choice([None, 1, 5, 10]),
        "rule_id": rng.choice([None, UUID(int=7)]),
        "feed_availability": feed_availability,
        "local_status": local_status,
        "availability": _availability(feed_availability, local_status),
        "raw_availability": feed_availability.upper(),
        "hold_id": rng.choice([None, "hold-1"]),
        "image_url": rng.choice([None, "https://example.com/1.jpg"]),
        "video_url": rng.choice([None, "https://example.com/1.mp4"]),
        "certificate_lab": rng.choice([None, "GIA", "IGI"]),
        "certificate_number": str(rng.randint(1, 40)),
        "certificate_pdf_url": None,
        "measurements": rng.choice([None, {"length": 7.31, "crownAngle": 34.5}]),
        "attributes": rng.choice([None, {"comments": "naïve “text”"}]),
        "supplier_name": "Secret Vendor",
        "supplier_legal_name": "Secret Vendor LLC",
        "color_rank": COLOR_RANK.get(color) if color else None,
        "clarity_rank": CLARITY_RANK.get(clarity) if clarity else None,
        "fancy_color": fancy and rng.choice([None, "YELLOW", "PINK"]),
        "fancy_intensity": fancy and rng.choice([None, "VIVID", "LIGHT"]),
        "fancy_overtone": None,
        "length_mm": Decimal("7.31"),
        "width_mm": None,
        "depth_mm": Decimal("4.50"),
        "table_percent": rng.choice([None, Decimal("57.00"), Decimal("61.50")]),
        "depth_percent": rng.choice([None, Decimal("58.05"), Decimal("62.10")]),
        "ratio": rng.choice([None, Decimal("1.000"), Decimal("1.425"), Decimal("1.500")]),
        "eye_clean": rng.choice([None, True, False]),
        "delivery_days_min": 5,
        "delivery_days_max": rng.choice([None, 3, 7, 14]),
        "returnable": rng.choice([None, True, False]),
        "raw_hash": f"hash-{number}",
        "status": "deleted" if is_deleted else "active",
        "source_updated_at": rng.choice([None, _START]),
        "last_seen_at": _START,
        "created_at": created_at,
        "updated_at": _START + timedelta(days=rng.randint(1, 3)),
        "deleted_at": _START if is_deleted else None,
    }


def _availability(of_feed: str, local: str | None) -> str:
    if local == "sold":
        return "sold"
    return "on_hold" if local == "on_hold" and of_feed == "available" else of_feed


def expected_answer(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller who sees cost is shown of a row, worked out without SQL."""
    cents = {name: int(row[name] * 100) for name in _MONEY}
    numbers = {name: None if row[name] is None else float(row[name]) for name in _NUMBERS}
    # Half up, in whole cents per carat.
    hundredths = int(row["carats"] * 100)
    per_carat = (cents["price_model_price"] * 200 + hundredths) // (2 * hundredths)
    plain = {name: row[name] for name in row if name not in (*_MONEY, *_NUMBERS, *_UNSEEN)}
    renamed = {_camel(name): value for name, value in (plain | numbers).items()}
    money = {f"{_camel(name)}Cents": value for name, value in cents.items()}
    return {**renamed, **money, "priceModelPricePerCaratCents": per_carat}


_MONEY = ("feed_price", "price_per_carat", "price_model_price")
_NUMBERS = (
    "carats",
    "markup_ratio",
    "length_mm",
    "width_mm",
    "depth_mm",
    "table_percent",
    "depth_percent",
    "ratio",
)
_UNSEEN = ("feed_availability", "local_status", "color_rank", "clarity_rank", "raw_hash")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
