"""The factories of ``diamond_opus.testing``: valid by default, and nothing but what a test says."""

import json

import msgspec
import pytest

from diamond_opus.domain.grades import CLARITIES, COLORS, FLUORESCENCES, QUALITIES, Availability
from diamond_opus.domain.shapes import normalise_shape
from diamond_opus.domain.stone import Stone
from diamond_opus.pricing import InvalidRule, PricingEngine
from diamond_opus.testing import make_item, make_rule, make_stone


def test_the_default_stone_has_the_declared_type_in_every_field_and_known_grades() -> None:
    stone = make_stone()

    assert msgspec.convert(msgspec.structs.asdict(stone), Stone, strict=True) == stone
    assert normalise_shape(stone.shape) == stone.shape
    assert stone.color in COLORS
    assert stone.clarity in CLARITIES
    assert {stone.cut, stone.polish, stone.symmetry} <= set(QUALITIES)
    assert stone.fluorescence in FLUORESCENCES
    assert stone.feed_availability in set(Availability)
    assert stone.ratio == round(1000 * (stone.length_mm or 0) / (stone.width_mm or 1))


def test_a_stone_without_color_has_no_color_rank() -> None:
    assert make_stone(color=None, clarity=None).color_rank is None
    assert make_stone(color=None, color_rank=4).color_rank == 4


def test_a_stone_or_rule_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(TypeError, match="carat"):
        make_stone(carat=1)
    with pytest.raises(TypeError, match="markup"):
        make_rule(markup=1)


def test_the_default_rule_prices_every_stone() -> None:
    engine = PricingEngine()
    engine.set_rules([make_rule()])

    assert engine.apply_pricing(make_stone(), feed="nivoda").matched_rule_id == "rule-1"


def test_a_rule_that_a_test_spoils_is_refused_as_any_other() -> None:
    with pytest.raises(InvalidRule, match="rating"):
        make_rule(rating=11)


def test_an_item_is_json_and_made_anew_at_each_call() -> None:
    first = make_item()
    assert json.loads(json.dumps(first)) == first

    first["diamond"]["certificate"]["carats"] = 9
    assert make_item()["diamond"]["certificate"]["carats"] == 1.5


def test_an_item_can_be_spoilt_at_every_level() -> None:
    item = make_item(
        supplier_stone_id="s-1",
        price=None,
        surprise=[1],
        diamond={"availability": "HOLD", "supplier": None},
        certificate={"carats": "1.5"},
    )

    assert (item["id"], item["price"], item["surprise"]) == ("DIAMOND/s-1", None, [1])
    assert (item["diamond"]["id"], item["diamond"]["availability"]) == ("s-1", "HOLD")
    assert (item["diamond"]["supplier"], item["diamond"]["certificate"]["carats"]) == (None, "1.5")
    assert make_item(diamond={"certificate": None})["diamond"]["certificate"] is None
    assert make_item(diamond=None)["diamond"]["id"] == make_item()["diamond"]["id"]
