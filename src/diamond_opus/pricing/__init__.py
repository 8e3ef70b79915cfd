"""Pricing: rules, and the one engine that applies them everywhere.

>>> from diamond_opus.pricing import PricingEngine, PricingRule
>>> engine = PricingEngine()
>>> engine.set_rules([PricingRule.create(id="rounds", priority=10, shapes=["ROUND"], markup_ratio="1.30")])
>>> pricing = engine.calculate_pricing(
...     carats="1.50", shape="ROUND", lab_grown=False, feed="nivoda", feed_price_cents=500_000
... )
>>> pricing.price_model_price_cents, pricing.price_per_carat_cents, pricing.matched_rule_id
(650000, 333333, 'rounds')
"""

from diamond_opus.pricing.engine import PricedStone, PricingEngine, PricingResult, RulesNotLoaded
from diamond_opus.pricing.matching import PricedColumns, RuleBook, UnpriceableStone
from diamond_opus.pricing.rules import InvalidRule, PricingRule

__all__ = [
    "InvalidRule",
    "PricedColumns",
    "PricedStone",
    "PricingEngine",
    "PricingResult",
    "PricingRule",
    "RuleBook",
    "RulesNotLoaded",
    "UnpriceableStone",
]
