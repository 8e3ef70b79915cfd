"""Where pricing rules come from: the active rows of ``pricing_rules``."""

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from diamond_opus.db.queries import load_queries
from diamond_opus.pricing.rules import PricingRule

_QUERIES = load_queries("diamond_opus.pricing")


async def fetch_active_rules(connection: AsyncConnection[Any]) -> list[PricingRule]:
    """The active rules in the order in which they are tried. Raises InvalidRule, naming the first bad one."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_QUERIES["active_rules"])
        return [PricingRule.create(**row) async for row in cursor]
