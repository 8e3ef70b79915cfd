"""Why a stone costs what it costs: the stored price, and what each rule says of the stone now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from diamond_opus.db.pool import Connection
from diamond_opus.db.queries import load_queries
from diamond_opus.pricing import PricingEngine, PricingResult, PricingRule

_QUERIES = load_queries("diamond_opus.catalog")


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """A rule, and why it is not for the stone: the names of its criteria that the stone does not meet."""

    rule: PricingRule
    unmet: Sequence[str]


@dataclass(frozen=True, slots=True)
class Explanation:
    """``stored`` is the stone's row; ``now`` is what today's rules would make of it.

    ``verdicts`` are the active rules in the order in which they are tried; the first one without ``unmet`` decides.
    """

    stored: Mapping[str, Any]
    now: PricingResult
    verdicts: Sequence[RuleVerdict]


async def explain_price(conn: Connection, stone_id: UUID) -> Explanation | None:
    """None when the stone is not on sale. Raises InvalidRule when the rules themselves cannot be applied."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_QUERIES["stored_price"], {"id": stone_id})
        stored = await cursor.fetchone()
    if stored is None:
        return None
    engine = PricingEngine()
    await engine.load_rules(conn)
    now = engine.calculate_pricing(
        carats=stored["carats"],
        shape=stored["shape"],
        lab_grown=stored["lab_grown"],
        feed=stored["feed"],
        feed_price_cents=stored["feed_price_cents"],
    )
    return Explanation(stored, now, [RuleVerdict(rule, _unmet(rule, stored)) for rule in engine.rules])


def _unmet(rule: PricingRule, stone: Mapping[str, Any]) -> list[str]:
    carats: Decimal = stone["carats"]
    met = {
        "caratMin": rule.carat_min is None or carats >= rule.carat_min,
        "caratMax": rule.carat_max is None or carats <= rule.carat_max,
        "shapes": rule.shapes is None or stone["shape"] in rule.shapes,
        "labGrown": rule.lab_grown is None or stone["lab_grown"] is rule.lab_grown,
        "feed": rule.feed is None or stone["feed"] == rule.feed,
    }
    return [name for name, is_met in met.items() if not is_met]
