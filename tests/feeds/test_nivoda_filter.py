"""The DiamondQuery a selection becomes, alone and within the operator's base filter."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.nivoda.query_filter import (
    OPEN_PRICE,
    build_lookup,
    build_offer_query,
    build_query,
    validate_filter,
)
from diamond_opus.feeds.trading import OfferQuestion

LAB = Selection(lab_grown=True)


def test_the_type_is_always_asked_for() -> None:
    assert build_query({}, LAB) == {"labgrown": True}
    assert build_query({}, Selection(lab_grown=False)) == {"labgrown": False}


def test_an_open_price_range_ends_at_the_largest_int() -> None:
    query = build_query({}, Selection(lab_grown=False, price_from=5000))

    assert query == {"labgrown": False, "dollar_value": {"from": 5000, "to": 2_147_483_647}}


def test_carats_are_sent_in_carats() -> None:
    query = build_query({}, Selection(lab_grown=False, carats_from=29, carats_to=131))

    assert query == {"labgrown": False, "sizes": [{"from": 0.29, "to": 1.31}]}


def test_an_open_carat_range_starts_at_nothing_and_ends_nowhere() -> None:
    assert build_query({}, Selection(lab_grown=False, carats_to=50)) == {
        "labgrown": False,
        "sizes": [{"from": 0.0, "to": 0.5}],
    }
    assert build_query({}, Selection(lab_grown=False, carats_from=50)) == {
        "labgrown": False,
        "sizes": [{"from": 0.5, "to": 1_000_000.0}],
    }


@pytest.mark.parametrize(
    ("price_from", "price_to", "sent"),
    [
        (1_000, None, {"from": 1_000, "to": OPEN_PRICE}),
        (0, 900, {"from": 0, "to": 900}),
        (0, 0, {"from": 0, "to": 0}),
    ],
)
def test_a_price_range_with_one_end_is_sent_with_both(
    price_from: int, price_to: int | None, sent: dict[str, int]
) -> None:
    """The supplier refuses one without ``to``."""
    selection = Selection(lab_grown=True, price_from=price_from, price_to=price_to)
    question = OfferQuestion(price_from=price_from or None, price_to=price_to)

    assert build_query({}, selection) == {"labgrown": True, "dollar_value": sent}
    assert build_offer_query(question) == {"labgrown": False, "dollar_value": sent}


def test_updates_are_asked_from_a_moment_on_and_never_to_one() -> None:
    moment = datetime(2026, 2, 1, 13, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))

    assert build_query({}, Selection(lab_grown=False, updated_from=moment)) == {
        "labgrown": False,
        "updated": {"from": "2026-02-01T12:30:00.999Z"},
    }


def test_shapes_and_colors_of_a_selection_are_sent_as_lists() -> None:
    assert build_query({}, Selection(lab_grown=False, shapes=("ROUND", "CUSHION B"), colors=("D",))) == {
        "labgrown": False,
        "shapes": ["ROUND", "CUSHION B"],
        "color": ["D"],
    }


@pytest.mark.parametrize(
    "inverted",
    [
        Selection(lab_grown=False, price_from=10, price_to=9),
        Selection(lab_grown=False, price_from=-1),
        Selection(lab_grown=False, price_to=2_147_483_648),
        Selection(lab_grown=False, carats_from=100, carats_to=99),
        Selection(lab_grown=False, carats_from=-1),
        Selection(lab_grown=False, carats_to=-1),
        Selection(lab_grown=False, shapes=()),
        Selection(lab_grown=False, colors=()),
        Selection(lab_grown=False, updated_from=datetime(2026, 1, 1)),  # noqa: DTZ001
    ],
    ids=str,
)
def test_a_selection_that_the_supplier_would_answer_with_arbitrary_stones_is_refused(
    inverted: Selection,
) -> None:
    with pytest.raises(ValueError, match=r"selection|aware"):
        build_query({}, inverted)


def test_the_base_filter_is_sent_along() -> None:
    base = validate_filter('{"availability": "AVAILABLE", "hide_memo": true, "has_image": null}')

    assert build_query(base, LAB) == {"labgrown": True, "availability": ["AVAILABLE"], "hide_memo": True}
    assert build_lookup(base, ["a", "b"], lab_grown=False) == {
        "availability": ["AVAILABLE"],
        "hide_memo": True,
        "labgrown": False,
        "filter_ids": ["a", "b"],
    }


def test_the_base_filters_sizes_shapes_and_colors_stay_when_the_selection_names_none() -> None:
    base = validate_filter('{"sizes": {"from": 0.4, "to": 5}, "shapes": ["ROUND"], "color": ["D", "E"]}')

    assert build_query(base, LAB) == {
        "labgrown": True,
        "sizes": [{"from": 0.4, "to": 5.0}],
        "shapes": ["ROUND"],
        "color": ["D", "E"],
    }


def test_carats_are_clipped_to_the_base_filters_ranges() -> None:
    base = validate_filter(
        '{"sizes": [{"from": 0.4, "to": 1}, {"from": 1.5, "to": 2}, {"from": 3, "to": 4}]}'
    )

    query = build_query(base, Selection(lab_grown=True, carats_from=100, carats_to=180))

    assert query is not None
    assert query["sizes"] == [{"from": 1.0, "to": 1.0}, {"from": 1.5, "to": 1.8}]


def test_shapes_and_colors_are_those_that_base_filter_and_selection_share() -> None:
    base = validate_filter('{"shapes": ["round", "PEAR"], "color": ["D", "FANCY"]}')

    query = build_query(base, Selection(lab_grown=True, shapes=("OVAL", "ROUND"), colors=("FANCY", "G")))

    assert query == {"labgrown": True, "shapes": ["ROUND"], "color": ["FANCY"]}


@pytest.mark.parametrize(
    "outside",
    [
        Selection(lab_grown=True, carats_from=200),
        Selection(lab_grown=True, shapes=("OVAL",)),
        Selection(lab_grown=True, colors=("Z",)),
    ],
    ids=str,
)
def test_a_selection_outside_the_base_filter_matches_nothing(outside: Selection) -> None:
    base = validate_filter('{"sizes": [{"from": 0.4, "to": 1.99}], "shapes": ["ROUND"], "color": ["D"]}')

    assert build_query(base, outside) is None


def test_the_schema_is_not_loaded_before_a_filter_needs_it() -> None:
    program = "import diamond_opus.feeds.nivoda, sys; sys.exit('graphql' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_empty_filter_is_no_filter() -> None:
    assert validate_filter("") == validate_filter("  ") == validate_filter("{}") == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"updatedAt": {"from": "2026"}}', "unknown field 'updatedAt'"),
        ('{"has_image": "yes"}', "has_image: Boolean cannot represent"),
        ('{"availability": ["ON HOLD"]}', "availability.0: Value 'ON HOLD' does not exist"),
        (
            '{"sizes": [{"from": 1}]}',
            "sizes.0: Expected value of type 'FloatRange' to include required field 'to'",
        ),
        ('{"labgrown": true}', "labgrown cannot be set"),
        ('{"dollar_value": {"from": 1, "to": 2}}', "dollar_value cannot be set"),
        ('{"updated": {"from": "2026"}}', "updated cannot be set"),
        ('{"filter_ids": ["a"]}', "filter_ids cannot be set"),
        ('{"certificate_numbers": ["1"]}', "certificate_numbers cannot be set: the supplier then ignores"),
        ('{"sizes": [{"from": 2, "to": 1}]}', "sizes: from 2.0 to 1.0 is the wrong way round"),
        (
            '{"dollar_per_carat": {"from": 2, "to": 1}}',
            "dollar_per_carat: from 2 to 1 is the wrong way round",
        ),
        ('{"shapes": []}', "shapes: an empty list"),
        ('{"shapes": ["ROUND", null]}', "shapes: a null in the list"),
    ],
)
def test_a_wrong_filter_is_explained(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^NIVODA_FILTER") as error:
        validate_filter(text)

    assert told in str(error.value)
    assert "found:" not in str(error.value).lower()


def test_every_wrong_field_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as error:
        validate_filter('{"nonsense": 1, "has_image": 3, "labgrown": false}')

    assert all(name in str(error.value) for name in ("nonsense", "has_image", "labgrown"))


def test_the_moment_an_update_is_asked_from_is_not_rounded_up() -> None:
    moment = datetime(2026, 2, 1, 12, 0, 0, 1, tzinfo=UTC)

    query = build_query({}, Selection(lab_grown=True, updated_from=moment))

    assert query is not None
    assert query["updated"] == {"from": "2026-02-01T12:00:00.000Z"}
