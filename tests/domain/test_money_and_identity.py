"""Money is exact, and the same stone has the same id for ever."""

from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.domain.ids import diamond_id, diamond_id_bytes
from diamond_opus.domain.money import cents_to_dollars, dollars_to_cents, mark_up, per_carat

cents = st.integers(0, 999_999_999_999)


def half_up(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


@given(cost=cents, ratio=st.integers(1, 99_999))
def test_a_mark_up_is_exact_and_rounded_half_up_once(cost: int, ratio: int) -> None:
    assert mark_up(cost, ratio) == half_up(Decimal(cost) * Decimal(ratio) / 10_000)


@given(price=cents, carats=st.integers(1, 999_999))
def test_a_price_per_carat_is_exact_and_rounded_half_up_once(price: int, carats: int) -> None:
    assert per_carat(price, carats) == half_up(Decimal(price) / (Decimal(carats) / 100))


@given(amount=cents)
def test_cents_become_dollars_and_cents_again(amount: int) -> None:
    assert dollars_to_cents(cents_to_dollars(amount)) == amount


def test_a_fraction_of_a_cent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1\.005 dollars is not a whole number of cents"):
        dollars_to_cents(Decimal("1.005"))


@given(feed=st.text(), stone=st.text())
def test_an_id_as_bytes_is_the_id(feed: str, stone: str) -> None:
    assert UUID(bytes=diamond_id_bytes(feed, stone)) == diamond_id(feed, stone)


def test_one_stone_of_two_feeds_has_two_ids() -> None:
    assert diamond_id("nivoda", "s-1") != diamond_id("other", "s-1")
