"""Where pricing rules are kept: the rows of ``pricing_rules``, read for the engine and for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row, scalar_row

from diamond_opus.db.queries import load_queries
from diamond_opus.pricing.rules import PricingRule

_QUERIES = load_queries("diamond_opus.pricing")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRule:
    """A row as it is, valid or not: somebody may have written it with SQL, and must be able to see and mend it."""

    id: UUID
    priority: int
    carat_min: Decimal | None
    carat_max: Decimal | None
    shapes: Sequence[str] | None
    lab_grown: bool | None
    feed: str | None
    markup_ratio: Decimal
    rating: int | None
    active: bool
    created_at: datetime
    updated_at: datetime


async def fetch_active_rules(connection: AsyncConnection[Any]) -> list[PricingRule]:
    """The active rules in the order in which they are tried. Raises InvalidRule, naming the first bad one."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_QUERIES["active_rules"])
        return [PricingRule.create(**row) async for row in cursor]


async def page_of_rules(
    conn: AsyncConnection[Any], *, active: bool | None, limit: int, offset: int
) -> tuple[Sequence[StoredRule], int]:
    """Some rules in the order in which they are tried, and how many there are; ``active`` None means all."""
    async with conn.cursor(row_factory=class_row(StoredRule)) as cursor:
        await cursor.execute(_QUERIES["page_of_rules"], {"active": active, "limit": limit, "offset": offset})
        rules = await cursor.fetchall()
    async with conn.cursor(row_factory=scalar_row) as counting:
        await counting.execute(_QUERIES["count_rules"], {"active": active})
        return rules, int(await counting.fetchone() or 0)


async def get_rule(
    conn: AsyncConnection[Any], rule_id: UUID, *, for_change: bool = False
) -> StoredRule | None:
    """The rule, active or not; ``for_change`` keeps others from changing it until the transaction's end."""
    query = _QUERIES["lock_rule" if for_change else "get_rule"]
    async with conn.cursor(row_factory=class_row(StoredRule)) as cursor:
        await cursor.execute(query, {"id": rule_id})
        return await cursor.fetchone()


async def insert_rule(conn: AsyncConnection[Any], rule: PricingRule, now: datetime) -> None:
    await conn.execute(_QUERIES["insert_rule"], _columns(rule, now))


async def update_rule(conn: AsyncConnection[Any], rule: PricingRule, now: datetime) -> None:
    """Make the row what the rule says, all of it."""
    await conn.execute(_QUERIES["update_rule"], _columns(rule, now))


async def deactivate_rule(conn: AsyncConnection[Any], rule_id: UUID, now: datetime) -> None:
    await conn.execute(_QUERIES["deactivate_rule"], {"id": rule_id, "now": now})


def _columns(rule: PricingRule, now: datetime) -> Mapping[str, Any]:
    return {
        "id": rule.id,
        "priority": rule.priority,
        "carat_min": rule.carat_min,
        "carat_max": rule.carat_max,
        "shapes": None if rule.shapes is None else list(rule.shapes),
        "lab_grown": rule.lab_grown,
        "feed": rule.feed,
        "markup_ratio": rule.markup_ratio,
        "rating": rule.rating,
        "active": rule.active,
        "now": now,
    }
