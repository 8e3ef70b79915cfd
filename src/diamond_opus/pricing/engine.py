"""The pricing engine: rules in, prices out, for one stone or a million by the same path.

Everything that decides is pure and in matching.py; the engine holds the present rules, exchanges them whole
and awaits nothing but them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from psycopg import AsyncConnection

from diamond_opus.domain.errors import Fatal
from diamond_opus.domain.money import RATIO_SCALE
from diamond_opus.domain.stone import Stone
from diamond_opus.pricing.matching import NO_RATING, NO_RULE, PricedColumns, RuleBook
from diamond_opus.pricing.rules import InvalidRule, Number, PricingRule, whole_units
from diamond_opus.pricing.store import fetch_active_rules


class RulesNotLoaded(Fatal):
    """The engine was asked for a price before it had rules, or after it was given invalid ones."""

    def __init__(self) -> None:
        super().__init__("Pricing rules not loaded. Call load_rules() or set_rules() first.")


@dataclass(frozen=True, slots=True)
class PricingResult:
    """What one stone costs and sells for; ``price_per_carat_cents`` is of the cost.

    ``matched_rule_id`` is None when no rule matched; ``rating`` is None when the rule gives none.
    """

    feed_price_cents: int
    price_model_price_cents: int
    price_per_carat_cents: int
    markup_ratio: Decimal
    rating: int | None
    matched_rule_id: UUID | str | None


class PricedStone(Stone, frozen=True, gc=False, kw_only=True):
    """A stone with its feed and its prices; the fields mean what they mean in :class:`PricingResult`."""

    feed: str
    price_model_price_cents: int
    price_per_carat_cents: int
    markup_ratio: Decimal
    rating: int | None
    matched_rule_id: UUID | str | None


class PricingEngine:
    """Prices stones by rules: the first match wins, and a stone without a match gets 1.15 and rating 5.

    Loading replaces all rules at once, so a reader sees either the old ones or the new ones. While there are
    none, every method but ``load_rules`` and ``set_rules`` raises RulesNotLoaded.

    >>> from diamond_opus.testing import make_rule, make_stone
    >>> engine = PricingEngine()
    >>> engine.set_rules([make_rule(priority=10, markup_ratio="1.25")])
    >>> priced = engine.apply_pricing(make_stone(feed_price_cents=100_000), feed="nivoda")
    >>> priced.price_model_price_cents, priced.markup_ratio
    (125000, Decimal('1.25'))
    """

    def __init__(self) -> None:
        self._present: RuleBook | None = None

    async def load_rules(self, connection: AsyncConnection[Any]) -> None:
        """Take the active rules of ``pricing_rules``; the transaction is the caller's.

        Raises InvalidRule, and then the engine has no rules at all: the old ones must not price on unnoticed.
        """
        try:
            self.set_rules(await fetch_active_rules(connection))
        except InvalidRule:
            self._present = None
            raise

    def set_rules(self, rules: Iterable[PricingRule]) -> None:
        """Take these rules, in any order, without the inactive ones. Raises InvalidRule as ``load_rules``."""
        try:
            self._present = RuleBook(rules)
        except InvalidRule:
            self._present = None
            raise

    @property
    def rules(self) -> tuple[PricingRule, ...]:
        """The active rules in the order in which they are tried."""
        return self._book.rules

    @property
    def rule_ids(self) -> NDArray[np.object_]:
        """Ids by ``rule_index``, with None at the end, where the index -1 of "no rule" points."""
        return self._book.rule_ids

    def find_matching_rule(
        self, *, carats: Number, shape: str, lab_grown: bool, feed: str
    ) -> PricingRule | None:
        """The rule that prices such a stone, None when only the default does.

        Raises ValueError for carats with more than two decimals.

        >>> engine = PricingEngine()
        >>> engine.set_rules([PricingRule.create(id="large", carat_min=3, markup_ratio="1.25")])
        >>> engine.find_matching_rule(carats="3.00", shape="OVAL", lab_grown=True, feed="nivoda").id
        'large'
        >>> engine.find_matching_rule(carats="2.99", shape="OVAL", lab_grown=True, feed="nivoda") is None
        True
        """
        book = self._book
        index = int(book.match(feed, [whole_units(carats, 2)], [shape], [lab_grown])[0])
        return None if index == NO_RULE else book.rules[index]

    def calculate_pricing(
        self, *, carats: Number, shape: str, lab_grown: bool, feed: str, feed_price_cents: int
    ) -> PricingResult:
        """The price of one stone in whole cents.

        Raises UnpriceableStone when it has none, ValueError for carats with more than two decimals.
        """
        return self._price_one(
            feed, whole_units(carats, 2), shape, lab_grown, feed_price_cents, stone_ids=None
        )

    def apply_pricing(self, stone: Stone, *, feed: str) -> PricedStone:
        """The stone with its prices."""
        result = self._price_one(
            feed,
            stone.carats_hundredths,
            stone.shape,
            stone.lab_grown,
            stone.feed_price_cents,
            stone_ids=[stone.supplier_stone_id],
        )
        return PricedStone(
            *msgspec.structs.astuple(stone),
            feed=feed,
            price_model_price_cents=result.price_model_price_cents,
            price_per_carat_cents=result.price_per_carat_cents,
            markup_ratio=result.markup_ratio,
            rating=result.rating,
            matched_rule_id=result.matched_rule_id,
        )

    def price_columns(
        self,
        feed: str,
        carats_hundredths: ArrayLike,
        shapes: Sequence[str],
        lab_grown: ArrayLike,
        feed_price_cents: ArrayLike,
        *,
        stone_ids: Sequence[str] | None = None,
    ) -> PricedColumns:
        """Price a batch of one feed, column by column; see :meth:`RuleBook.price_columns`.

        >>> engine = PricingEngine()
        >>> engine.set_rules([PricingRule.create(id="lab", lab_grown=True, markup_ratio="1.10", rating=6)])
        >>> columns = engine.price_columns(
        ...     "nivoda", [150, 100], ["ROUND", "OVAL"], [True, False], [500_000, 333]
        ... )
        >>> columns.price_model_price_cents.tolist(), columns.rating.tolist()
        ([550000, 383], [6, 5])
        >>> columns.matched_rule_ids().tolist()
        ['lab', None]
        """
        return self._book.price_columns(
            feed, carats_hundredths, shapes, lab_grown, feed_price_cents, stone_ids=stone_ids
        )

    @property
    def _book(self) -> RuleBook:
        if self._present is None:
            raise RulesNotLoaded
        return self._present

    def _price_one(
        self,
        feed: str,
        carats_hundredths: int,
        shape: str,
        lab_grown: bool,
        feed_price_cents: int,
        *,
        stone_ids: list[str] | None,
    ) -> PricingResult:
        columns = self._book.price_columns(
            feed, [carats_hundredths], [shape], [lab_grown], [feed_price_cents], stone_ids=stone_ids
        )
        rating = int(columns.rating[0])
        return PricingResult(
            feed_price_cents=feed_price_cents,
            price_model_price_cents=int(columns.price_model_price_cents[0]),
            price_per_carat_cents=int(columns.price_per_carat_cents[0]),
            markup_ratio=Decimal(int(columns.markup_ratio_e4[0])) / RATIO_SCALE,
            rating=None if rating == NO_RATING else rating,
            matched_rule_id=columns.matched_rule_ids()[0],
        )
