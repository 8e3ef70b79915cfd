"""What a diamond must be, worked out anew: prices in Decimal, rule by rule, and every column from the raw payload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import orjson
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from diamond_opus.domain.errors import Warned
from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.protocol import RawStone
from diamond_opus.wiring import mappers

_CENT = Decimal("0.01")
_HUNDREDTHS = ("length_mm", "width_mm", "depth_mm", "table_percent", "depth_percent")


@dataclass(frozen=True, slots=True)
class Price:
    """What the rules make of one stone."""

    price_model_price: Decimal
    price_per_carat: Decimal
    markup_ratio: Decimal
    rating: int | None
    rule_id: UUID | None


def price_of(rules: Sequence[Mapping[str, Any]], stone: Mapping[str, Any]) -> Price:
    """``rules`` are rows of ``pricing_rules``; ``stone`` has feed, shape, carats, lab_grown and feed_price."""
    ordered = sorted((rule for rule in rules if rule["active"]), key=lambda r: (r["priority"], str(r["id"])))
    matching = [rule for rule in ordered if _matches(rule, stone)]
    ratio, rating, rule_id = Decimal("1.15"), 5, None
    if matching:
        ratio, rating, rule_id = (matching[0][name] for name in ("markup_ratio", "rating", "id"))
    cost: Decimal = stone["feed_price"]
    return Price(
        (cost * ratio).quantize(_CENT, ROUND_HALF_UP),
        (cost / stone["carats"]).quantize(_CENT, ROUND_HALF_UP),
        ratio,
        rating,
        rule_id,
    )


def _matches(rule: Mapping[str, Any], stone: Mapping[str, Any]) -> bool:
    return (
        (rule["carat_min"] is None or stone["carats"] >= rule["carat_min"])
        and (rule["carat_max"] is None or stone["carats"] <= rule["carat_max"])
        and (rule["shapes"] is None or stone["shape"] in rule["shapes"])
        and (rule["lab_grown"] is None or stone["lab_grown"] == rule["lab_grown"])
        and (rule["feed"] is None or stone["feed"] == rule["feed"])
    )


def columns_of(stone: Stone) -> dict[str, Any]:
    """The supplier's columns of ``diamonds`` that a mapped stone must give."""
    columns: dict[str, Any] = {name: getattr(stone, name) for name in Stone.__struct_fields__}
    columns["carats"] = Decimal(columns.pop("carats_hundredths")).scaleb(-2)
    columns["feed_price"] = Decimal(columns.pop("feed_price_cents")).scaleb(-2)
    for name in _HUNDREDTHS:
        columns[name] = None if columns[name] is None else Decimal(columns[name]).scaleb(-2)
    columns["ratio"] = None if stone.ratio is None else Decimal(stone.ratio).scaleb(-3)
    for name in ("measurements", "attributes"):
        columns[name] = None if columns[name] is None else orjson.loads(columns[name])
    return columns


async def compare_with_raw(conn: AsyncConnection[Any], feed: str = "nivoda") -> int:
    """Check every raw row against its diamond or its rejection; returns how many diamonds agree.

    A diamond must be what its newest payload maps to, priced by the rules as they are now.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM pricing_rules")
        rules = await cursor.fetchall()
        await cursor.execute(
            "SELECT w.*, w.payload::text AS text FROM raw_diamonds AS w WHERE w.feed = %s", (feed,)
        )
        raws = await cursor.fetchall()
        await cursor.execute("SELECT * FROM diamonds WHERE feed = %s", (feed,))
        diamonds = {row["supplier_stone_id"]: row for row in await cursor.fetchall()}
        await cursor.execute("SELECT * FROM rejected_diamonds WHERE readable AND resolved_at IS NULL")
        rejected = {row["supplier_stone_id"]: row for row in await cursor.fetchall()}
    agreeing = 0
    for raw in raws:
        stone_id = raw["supplier_stone_id"]
        mapped = _map(feed, raw)
        assert raw["consolidated"], f"{stone_id} was left pending"
        if not isinstance(mapped, Stone):
            assert rejected[stone_id]["reason"] == mapped.reason
            assert rejected[stone_id]["json_path"] == mapped.json_path
            continue
        assert stone_id not in rejected, f"{stone_id} is in quarantine: {rejected.get(stone_id)}"
        _compare(diamonds[stone_id], raw, mapped, rules)
        agreeing += 1
    return agreeing


def _map(feed: str, raw: Mapping[str, Any]) -> Any:
    warnings: list[Warned] = []
    return mappers()[feed].map_stone(
        RawStone(
            raw["supplier_stone_id"],
            raw["offer_id"],
            raw["text"].encode(),
            raw["asked_lab_grown"],
            raw["asked_price_from"],
            raw["asked_price_to"],
        ),
        warnings,
    )


def _compare(
    diamond: Mapping[str, Any], raw: Mapping[str, Any], stone: Stone, rules: Sequence[Mapping[str, Any]]
) -> None:
    expected = {**columns_of(stone), "id": raw["id"], "raw_hash": raw["payload_hash"]}
    price = price_of(rules, {**expected, "feed": raw["feed"]})
    expected |= {name: getattr(price, name) for name in Price.__slots__}
    differing = {
        name: (value, diamond[name]) for name, value in expected.items() if not _same(value, diamond[name])
    }
    assert not differing, f"{stone.supplier_stone_id} (expected, stored): {differing}"


def _same(expected: Any, stored: Any) -> bool:
    """JSON numbers may be written in more than one way."""
    return bool(expected == stored)
