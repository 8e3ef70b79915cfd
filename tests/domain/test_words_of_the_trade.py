"""Shapes, grades and selections: one spelling each, one order, and text a person can read."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.domain.errors import DiamondError, Retryable
from diamond_opus.domain.grades import CLARITIES, CLARITY_RANK, COLOR_RANK, COLORS
from diamond_opus.domain.selection import Selection
from diamond_opus.domain.shapes import SYNONYMS, normalise_shape


@given(text=st.text())
def test_a_normal_shape_is_normal_already(text: str) -> None:
    assert normalise_shape(normalise_shape(text)) == normalise_shape(text)


@pytest.mark.parametrize(("spelling", "shape"), list(SYNONYMS.items()))
def test_every_synonym_leads_to_a_name_of_its_own_in_one_step(spelling: str, shape: str) -> None:
    assert normalise_shape(spelling.lower()) == shape
    assert normalise_shape(shape) == shape


@pytest.mark.parametrize(("grades", "ranks"), [(COLORS, COLOR_RANK), (CLARITIES, CLARITY_RANK)])
def test_grades_are_ranked_from_the_best_without_a_tie(
    grades: tuple[str, ...], ranks: dict[str, int]
) -> None:
    assert [ranks[grade] for grade in grades] == list(range(1, len(grades) + 1))


def test_a_selection_says_what_it_asks_for() -> None:
    selection = Selection(True, 500, carats_from=100, carats_to=150, shapes=("ROUND",), colors=("D", "E"))

    assert str(selection) == "lab-grown USD 500 to up, 1.00 to 1.50 ct, 1 shapes, 2 colors"


def test_another_price_keeps_everything_else_of_a_selection() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)

    priced = Selection(False, 0, None, carats_to=99, updated_from=since).priced(100, 200)

    assert priced == Selection(False, 100, 200, carats_to=99, updated_from=since)


def test_a_retryable_error_carries_the_other_sides_own_wish() -> None:
    assert Retryable("later", retry_after_seconds=20).retry_after_seconds == 20
    assert Retryable("later").retry_after_seconds is None
    assert issubclass(Retryable, DiamondError)
