"""Money is exact, and the same stone has the same id for ever."""

from decimal import Decimal
from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.domain.ids import NAMESPACE, diamond_id, diamond_id_bytes
from diamond_opus.domain.money import cents_to_dollars


@given(amount=st.integers(0, 999_999_999_999))
def test_dollars_are_a_hundredth_of_cents_exactly(amount: int) -> None:
    assert cents_to_dollars(amount) * 100 == Decimal(amount)


def test_one_stone_of_two_feeds_has_two_ids() -> None:
    assert diamond_id("nivoda", "s-1") != diamond_id("other", "s-1")


@given(feed=st.text(max_size=10), stone=st.text(max_size=200))
def test_an_id_is_the_uuid5_of_feed_and_stone(feed: str, stone: str) -> None:
    assert diamond_id(feed, stone) == uuid5(NAMESPACE, f"{feed}:{stone}")
    assert diamond_id_bytes(feed, stone) == diamond_id(feed, stone).bytes
