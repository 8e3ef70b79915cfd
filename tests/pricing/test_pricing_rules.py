"""What a pricing rule may hold, and what its refusal says."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.pricing import InvalidRule, PricingRule
from diamond_opus.pricing.rules import whole_units


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("markup_ratio", Decimal(0)),
        ("markup_ratio", Decimal("-1.15")),
        ("markup_ratio", Decimal(10)),
        ("markup_ratio", Decimal("1.00005")),
        ("markup_ratio", Decimal("1.150000000000000000000000000000000001")),
        ("markup_ratio", Decimal("NaN")),
        ("markup_ratio", Decimal("Infinity")),
        ("markup_ratio", "fifteen percent"),
        ("carat_min", Decimal("-0.01")),
        ("carat_min", Decimal("1.005")),
        ("carat_max", Decimal("10000.00")),
        ("carat_max", Decimal("NaN")),
        ("rating", 0),
        ("rating", 11),
        ("shapes", []),
        ("shapes", ["ROUND", "  "]),
        ("shapes", ["ROUND", None]),
        ("feed", ""),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_rule_field_and_value(field: str, value: object) -> None:
    fields: dict[str, Any] = {"id": "rule-7", "markup_ratio": Decimal("1.15"), field: value}

    with pytest.raises(InvalidRule) as refused:
        PricingRule.create(**fields)

    assert (refused.value.rule_id, refused.value.field) == ("rule-7", field)
    shown = str(value) if isinstance(value, Decimal) else repr(value)
    assert f"pricing rule rule-7: {field} is {shown}, allowed is " in str(refused.value)


def test_bounds_in_the_wrong_order_are_refused_with_both_of_them() -> None:
    with pytest.raises(
        InvalidRule, match=r"carat_min is 2\.00, allowed is at most carat_max, which is 1\.99"
    ):
        PricingRule.create(id="r", markup_ratio=1, carat_min="2.00", carat_max="1.99")


def test_a_rule_for_a_single_weight_is_allowed() -> None:
    rule = PricingRule.create(id="r", markup_ratio=1, carat_min="2.00", carat_max="2.00")

    assert (rule.carat_min_hundredths, rule.carat_max_hundredths) == (200, 200)


def test_the_ends_of_every_allowed_range_are_allowed() -> None:
    low = PricingRule.create(id="low", markup_ratio="0.0001", carat_min=0, rating=1)
    high = PricingRule.create(id="high", markup_ratio="9.9999", carat_max="9999.99", rating=10)

    assert (low.markup_ratio_e4, low.carat_min_hundredths, low.rating) == (1, 0, 1)
    assert (high.markup_ratio_e4, high.carat_max_hundredths, high.rating) == (99_999, 999_999, 10)


def test_a_float_passes_only_where_it_is_exact() -> None:
    fields: dict[str, Any] = {"id": "r", "markup_ratio": 1.25}
    assert PricingRule.create(**fields).markup_ratio_e4 == 12_500

    with pytest.raises(InvalidRule, match=r"markup_ratio is 1\.15"):
        PricingRule.create(**{**fields, "markup_ratio": 1.15})


def test_an_invalid_rule_cannot_be_made_without_create_either() -> None:
    with pytest.raises(InvalidRule, match="shapes is"):
        PricingRule(id="r", markup_ratio_e4=11_500, shapes=())


def test_several_spellings_of_one_shape_are_one_shape() -> None:
    rule = PricingRule.create(id="r", markup_ratio=1, shapes=["Cushion B", "CUSHION_BRILLIANT", "oval"])

    assert rule.normalised_shapes == frozenset({"CUSHION BRILLIANT", "OVAL"})


@given(
    ratio=st.decimals(min_value="0.0001", max_value="9.9999", places=4),
    carats=st.decimals(min_value=0, max_value="9999.99", places=2),
    rule_id=st.uuids(),
)
def test_what_the_table_stores_comes_back_as_it_was(ratio: Decimal, carats: Decimal, rule_id: UUID) -> None:
    rule = PricingRule.create(id=rule_id, markup_ratio=ratio, carat_min=carats, carat_max=carats)

    assert (rule.id, rule.markup_ratio, rule.carat_min, rule.carat_max) == (rule_id, ratio, carats, carats)


@given(number=st.decimals(allow_nan=True, allow_infinity=True), decimals=st.integers(0, 6))
def test_units_are_exact_or_refused(number: Decimal, decimals: int) -> None:
    try:
        units = whole_units(number, decimals)
    except ValueError:
        return
    assert Decimal(units).scaleb(-decimals) == number
