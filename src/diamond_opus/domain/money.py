"""Money is whole US cents; a markup ratio is whole ten-thousandths: exact, never a float."""

from decimal import Decimal

RATIO_SCALE = 10_000


def cents_to_dollars(cents: int) -> Decimal:
    """The NUMERIC(12,2) that PostgreSQL stores.

    >>> cents_to_dollars(136_988)
    Decimal('1369.88')
    """
    return Decimal(cents).scaleb(-2)


def is_ten_times_off(price_cents: int, price_from: int, price_to: int | None) -> bool:
    """Whether a price lies ten times or more off the range of whole dollars that was asked: a wrong unit, likely.

    >>> is_ten_times_off(50_000, 500, 1000), is_ten_times_off(5_000, 500, 1000), is_ten_times_off(1_000_000, 500, 1000)
    (False, True, True)
    """
    too_low = price_from > 0 and price_cents * 10 <= price_from * 100
    return too_low or (price_to is not None and price_cents >= max(price_to, 1) * 1000)
