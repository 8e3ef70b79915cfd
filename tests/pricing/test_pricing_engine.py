"""The engine's documented behaviour, its limits and its errors."""

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest

from diamond_opus.domain.errors import Fatal, Skippable
from diamond_opus.pricing import InvalidRule, PricingEngine, PricingRule, RulesNotLoaded, UnpriceableStone
from diamond_opus.pricing.matching import HIGHEST_CENTS, RuleBook
from diamond_opus.testing import make_rule, make_stone


def engine_with(*rules: PricingRule) -> PricingEngine:
    engine = PricingEngine()
    engine.set_rules(rules)
    return engine


def matched(
    engine: PricingEngine, *, carats: str = "1.00", shape: str = "ROUND", feed: str = "nivoda"
) -> object:
    rule = engine.find_matching_rule(carats=carats, shape=shape, lab_grown=False, feed=feed)
    return None if rule is None else rule.id


@pytest.mark.parametrize("use", ["rules", "rule_ids", "find", "calculate", "apply", "columns"])
def test_an_engine_without_rules_refuses_every_question(use: str) -> None:
    engine = PricingEngine()
    questions: dict[str, Callable[[], object]] = {
        "rules": lambda: engine.rules,
        "rule_ids": lambda: engine.rule_ids,
        "find": lambda: matched(engine),
        "calculate": lambda: engine.calculate_pricing(
            carats=1, shape="ROUND", lab_grown=False, feed="nivoda", feed_price_cents=100
        ),
        "apply": lambda: engine.apply_pricing(make_stone(), feed="nivoda"),
        "columns": lambda: engine.price_columns("nivoda", [100], ["ROUND"], [False], [100]),
    }

    with pytest.raises(
        RulesNotLoaded, match=r"Pricing rules not loaded\. Call load_rules\(\) or set_rules\(\) first\."
    ):
        questions[use]()
    assert issubclass(RulesNotLoaded, Fatal)


def test_the_example_of_the_documentation_gives_its_result() -> None:
    engine = engine_with(make_rule(id="default", priority=1000, markup_ratio="1.15", rating=5))

    result = engine.calculate_pricing(
        carats="1.5", shape="ROUND", lab_grown=False, feed="nivoda", feed_price_cents=500_000
    )

    assert result.feed_price_cents == 500_000
    assert result.price_model_price_cents == 575_000
    assert result.price_per_carat_cents == 333_333
    assert result.markup_ratio == Decimal("1.15")
    assert (result.rating, result.matched_rule_id) == (5, "default")


def test_no_match_means_fifteen_percent_rating_five_and_no_rule() -> None:
    result = engine_with().calculate_pricing(
        carats=1, shape="ROUND", lab_grown=False, feed="nivoda", feed_price_cents=100
    )

    assert (result.markup_ratio, result.rating, result.matched_rule_id) == (Decimal("1.15"), 5, None)


def test_a_matching_rule_without_rating_gives_none() -> None:
    result = engine_with(make_rule(rating=None)).calculate_pricing(
        carats=1, shape="ROUND", lab_grown=False, feed="nivoda", feed_price_cents=100
    )

    assert (result.rating, result.matched_rule_id) == (None, "rule-1")


def test_carat_bounds_are_inclusive() -> None:
    engine = engine_with(make_rule(carat_min="1.00", carat_max="1.49"))

    assert [matched(engine, carats=carats) for carats in ("0.99", "1.00", "1.49", "1.50")] == [
        None, "rule-1", "rule-1", None,
    ]  # fmt: skip


def test_the_lower_priority_number_wins_and_equal_ones_go_by_id() -> None:
    low, high = UUID(int=1), UUID(int=2**100)
    engine = engine_with(
        make_rule(id="late", priority=20), make_rule(id=high, priority=10), make_rule(id=low, priority=10)
    )

    assert [rule.id for rule in engine.rules] == [low, high, "late"]
    assert matched(engine) == low


def test_an_inactive_rule_is_ignored_even_when_its_id_is_taken() -> None:
    engine = engine_with(make_rule(priority=1, active=False), make_rule(priority=2))

    assert [rule.priority for rule in engine.rules] == [2]


def test_a_rule_matches_a_shape_by_any_of_its_spellings() -> None:
    engine = engine_with(make_rule(shapes=["Cushion B"]))

    assert matched(engine, shape="CUSHION BRILLIANT") == "rule-1"
    assert matched(engine, shape="CUSHION") is None


def test_a_rule_of_one_feed_leaves_the_others_alone() -> None:
    engine = engine_with(make_rule(id="own", priority=1, feed="preferred"), make_rule(id="all", priority=2))

    assert (matched(engine, feed="preferred"), matched(engine, feed="nivoda")) == ("own", "all")


def test_two_active_rules_with_one_id_stop_pricing() -> None:
    engine = engine_with(make_rule(id="good"))

    with pytest.raises(InvalidRule, match="pricing rule twice: id is 'twice'"):
        engine.set_rules([make_rule(id="twice", priority=1), make_rule(id="twice", priority=2)])
    with pytest.raises(RulesNotLoaded):
        matched(engine)


def test_half_a_cent_is_rounded_up_once() -> None:
    # 1.15 times 10 is 11.5; a float makes 11.499999999999998 of it.
    result = engine_with(make_rule(markup_ratio="1.15")).calculate_pricing(
        carats="0.03", shape="ROUND", lab_grown=False, feed="nivoda", feed_price_cents=10
    )

    assert (result.price_model_price_cents, result.price_per_carat_cents) == (12, 333)


def test_a_priced_stone_is_the_stone_with_its_prices() -> None:
    stone = make_stone(feed_price_cents=100_000, carats_hundredths=200)

    priced = engine_with(make_rule(markup_ratio="1.25", rating=8)).apply_pricing(stone, feed="nivoda")

    assert {name: getattr(priced, name) for name in stone.__struct_fields__} == {
        name: getattr(stone, name) for name in stone.__struct_fields__
    }
    assert (priced.feed, priced.price_model_price_cents, priced.price_per_carat_cents) == (
        "nivoda",
        125_000,
        50_000,
    )
    assert (priced.markup_ratio, priced.rating, priced.matched_rule_id) == (Decimal("1.25"), 8, "rule-1")


def test_a_price_too_big_to_store_names_the_stones_and_the_rule() -> None:
    engine = engine_with(make_rule(id="dear", markup_ratio="9.9999"))

    with pytest.raises(UnpriceableStone) as refused:
        engine.price_columns(
            "nivoda",
            [100, 100, 100],
            ["ROUND"] * 3,
            [False] * 3,
            [100, HIGHEST_CENTS, HIGHEST_CENTS - 1],
            stone_ids=["s-0", "s-1", "s-2"],
        )

    assert (refused.value.positions, refused.value.rule_id) == ((1, 2), "dear")
    assert str(refused.value) == (
        "stone s-1: its selling price would be 99998999999.90 dollars"
        " (cost 9999999999.99, pricing rule dear), which is more than 9999999999.99;"
        " correct its cost or the rule (1 more of the batch as well)"
    )
    assert issubclass(UnpriceableStone, Skippable)


def test_a_price_per_carat_too_big_to_store_is_an_error_too() -> None:
    with pytest.raises(
        UnpriceableStone, match=r"stone 0 of the batch: its price per carat would be 80000000000\.00"
    ):
        engine_with().price_columns("nivoda", [1], ["ROUND"], [False], [80_000_000_000])


def test_the_biggest_price_that_can_be_stored_is_exact() -> None:
    columns = engine_with(make_rule(markup_ratio=1)).price_columns(
        "nivoda", [999_999], ["ROUND"], [False], [HIGHEST_CENTS]
    )

    assert columns.price_model_price_cents.tolist() == [HIGHEST_CENTS]
    assert columns.price_per_carat_cents.tolist() == [100_000_100]


@pytest.mark.parametrize(
    ("carats", "cents", "named"),
    [
        (0, 100, "carats_hundredths is 0"),
        (-1, 100, "carats_hundredths is -1"),
        (1_000_000, 100, "carats_hundredths is 1000000"),
        (100, 0, "feed_price_cents is 0"),
        (100, HIGHEST_CENTS + 1, "feed_price_cents is 1000000000000"),
        (100, 2**64 - 1, "feed_price_cents is 18446744073709551615"),
    ],
)
def test_what_no_stone_can_weigh_or_cost_is_refused_and_never_wraps(
    carats: int, cents: int, named: str
) -> None:
    with pytest.raises(UnpriceableStone, match=f"stone s-9: {named}, allowed is 1 to "):
        engine_with().price_columns("nivoda", [carats], ["ROUND"], [False], [cents], stone_ids=["s-9"])


def test_columns_must_be_whole_numbers_booleans_and_of_one_length() -> None:
    engine = engine_with()

    with pytest.raises(
        TypeError, match="feed_price_cents must be whole numbers of at most 64 bits, not float64"
    ):
        engine.price_columns("nivoda", [100], ["ROUND"], [False], [100.0])
    with pytest.raises(TypeError, match="lab_grown must be booleans, not int64"):
        engine.price_columns("nivoda", [100], ["ROUND"], [1], [100])
    with pytest.raises(ValueError, match="carats_hundredths has the shape"):
        engine.price_columns("nivoda", [100, 200], ["ROUND"], [False], [100])


def test_carats_with_a_third_decimal_are_refused_and_not_rounded() -> None:
    with pytest.raises(ValueError, match=r"1\.005 is not a number with at most 2 decimals"):
        matched(engine_with(), carats="1.005")


def test_an_empty_batch_has_empty_prices() -> None:
    columns = engine_with(make_rule()).price_columns("nivoda", [], [], [], [])

    assert columns.price_model_price_cents.tolist() == []
    assert columns.matched_rule_ids().tolist() == []


def test_prices_keep_the_rules_they_were_made_by_when_the_engine_gets_new_ones() -> None:
    engine = engine_with(make_rule(id="old"))
    columns = engine.price_columns("nivoda", [100], ["ROUND"], [False], [100])

    engine.set_rules([make_rule(id="new")])

    assert columns.matched_rule_ids().tolist() == ["old"]
    assert engine.rule_ids.tolist() == ["new", None]


def test_readers_cannot_change_what_the_engine_holds() -> None:
    engine = engine_with(make_rule())

    with pytest.raises(ValueError, match="read-only"):
        engine.rule_ids[0] = "other"


def test_shapes_beyond_what_is_remembered_still_match() -> None:
    book = RuleBook([make_rule(shapes=["ROUND"])])
    shapes = [f"shape {number}" for number in range(10_100)] + ["Round  Brilliant"]

    matches = book.match("nivoda", np.full(len(shapes), 100), shapes, np.zeros(len(shapes), np.bool_))

    assert np.flatnonzero(matches == 0).tolist() == [len(shapes) - 1]
    assert len(book._codes_by_spelling) == 10_000
