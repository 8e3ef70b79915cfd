"""The engine against a naive reading of the documentation in decimals: it must agree on every stone."""

from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.domain.shapes import normalise_shape
from diamond_opus.pricing import PricingEngine, PricingResult, PricingRule, RuleBook

FEEDS = ["nivoda", "preferred", "other"]
SPELLINGS = [
    "ROUND",
    "round brilliant",
    "Oval",
    "CUSHION B",
    "Cushion Brilliant",
    "ASCHER",
    "Asscher",
    "PRAD",
]


class Offer(NamedTuple):
    carats: Decimal
    shape: str
    lab_grown: bool
    feed: str
    cost_cents: int


class Price(NamedTuple):
    rule_id: object
    ratio: Decimal
    rating: int | None
    price_cents: int
    per_carat_cents: int


carats = st.decimals(min_value="0.01", max_value="4.00", places=2)
offers = st.builds(
    Offer,
    carats=carats,
    shape=st.sampled_from(SPELLINGS),
    lab_grown=st.booleans(),
    feed=st.sampled_from(FEEDS),
    # Small costs meet every half cent, big ones the limits of 64 bits.
    cost_cents=st.one_of(st.integers(1, 5_000), st.integers(1, 10_000_000), st.integers(10**9, 9 * 10**9)),
)


@st.composite
def rules(draw: st.DrawFn) -> PricingRule:
    low, high = sorted([draw(carats), draw(carats)])
    return PricingRule.create(
        id=draw(st.uuids()),
        priority=draw(st.integers(1, 4)),
        carat_min=draw(st.sampled_from([None, low])),
        carat_max=draw(st.sampled_from([None, high])),
        shapes=draw(st.none() | st.lists(st.sampled_from(SPELLINGS), min_size=1, max_size=3)),
        lab_grown=draw(st.none() | st.booleans()),
        feed=draw(st.none() | st.sampled_from(FEEDS)),
        markup_ratio=draw(st.decimals(min_value="0.0001", max_value="9.9999", places=4)),
        rating=draw(st.none() | st.integers(1, 10)),
        active=draw(st.sampled_from([True, True, True, False])),
    )


rule_lists = st.lists(rules(), max_size=12, unique_by=lambda rule: rule.id)


def naive_price(rule_list: list[PricingRule], offer: Offer) -> Price:
    """SPEC, "Rule Matching Algorithm" and "Pricing Calculation", word by word."""
    for rule in sorted(
        (rule for rule in rule_list if rule.active), key=lambda rule: (rule.priority, str(rule.id))
    ):
        if rule.carat_min is not None and not rule.carat_min <= offer.carats:
            continue
        if rule.carat_max is not None and not offer.carats <= rule.carat_max:
            continue
        if rule.shapes is not None and normalise_shape(offer.shape) not in map(normalise_shape, rule.shapes):
            continue
        if rule.lab_grown is not None and rule.lab_grown != offer.lab_grown:
            continue
        if rule.feed is not None and rule.feed != offer.feed:
            continue
        return naive_result(offer, rule.id, rule.markup_ratio, rule.rating)
    return naive_result(offer, None, Decimal("1.15"), 5)


def naive_result(offer: Offer, rule_id: object, ratio: Decimal, rating: int | None) -> Price:
    cost = Decimal(offer.cost_cents)
    return Price(rule_id, ratio, rating, half_up(cost * ratio), half_up(cost / offer.carats))


def half_up(cents: Decimal) -> int:
    return int(cents.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def as_price(result: PricingResult) -> Price:
    return Price(
        result.matched_rule_id,
        result.markup_ratio,
        result.rating,
        result.price_model_price_cents,
        result.price_per_carat_cents,
    )


@given(rule_list=rule_lists, offer=offers)
def test_one_stone_is_priced_as_the_documentation_says(rule_list: list[PricingRule], offer: Offer) -> None:
    engine = PricingEngine()
    engine.set_rules(rule_list)

    result = engine.calculate_pricing(
        carats=offer.carats,
        shape=offer.shape,
        lab_grown=offer.lab_grown,
        feed=offer.feed,
        feed_price_cents=offer.cost_cents,
    )

    assert as_price(result) == naive_price(rule_list, offer)


@given(rule_list=rule_lists, feed=st.sampled_from(FEEDS), batch=st.lists(offers, max_size=30))
def test_a_batch_is_priced_stone_for_stone_as_the_documentation_says(
    rule_list: list[PricingRule], feed: str, batch: list[Offer]
) -> None:
    batch = [offer._replace(feed=feed) for offer in batch]

    columns = RuleBook(rule_list).price_columns(
        feed,
        np.array([int(offer.carats * 100) for offer in batch], np.int32),
        [offer.shape for offer in batch],
        np.array([offer.lab_grown for offer in batch], np.bool_),
        np.array([offer.cost_cents for offer in batch], np.int64),
    )

    priced = [
        Price(rule_id, Decimal(ratio) / 10_000, rating or None, price, per_carat)
        for rule_id, ratio, rating, price, per_carat in zip(
            columns.matched_rule_ids().tolist(),
            columns.markup_ratio_e4.tolist(),
            columns.rating.tolist(),
            columns.price_model_price_cents.tolist(),
            columns.price_per_carat_cents.tolist(),
            strict=True,
        )
    ]
    assert priced == [naive_price(rule_list, offer) for offer in batch]


@given(rule_list=rule_lists, offer=offers, order=st.randoms(use_true_random=False))
def test_the_order_in_which_rules_are_given_does_not_matter(
    rule_list: list[PricingRule], offer: Offer, order: Random
) -> None:
    shuffled = order.sample(rule_list, len(rule_list))
    engine, other = PricingEngine(), PricingEngine()
    engine.set_rules(rule_list)
    other.set_rules(shuffled)

    assert find(engine, offer) == find(other, offer)


def find(engine: PricingEngine, offer: Offer) -> PricingRule | None:
    return engine.find_matching_rule(
        carats=offer.carats, shape=offer.shape, lab_grown=offer.lab_grown, feed=offer.feed
    )
