"""Money is whole US cents; a markup ratio is whole ten-thousandths: exact, never a float."""

from decimal import Decimal

RATIO_SCALE = 10_000


def mark_up(cost_cents: int, markup_ratio_e4: int) -> int:
    """The selling price in cents: cost times ratio, rounded half up, once.

    >>> mark_up(333, 11_500)  # 382.95
    383
    """
    return (cost_cents * markup_ratio_e4 + RATIO_SCALE // 2) // RATIO_SCALE


def per_carat(price_cents: int, carats_hundredths: int) -> int:
    """Cents per carat, rounded half up; carats in hundredths, above 0.

    >>> per_carat(500_000, 150)
    333333
    """
    return (price_cents * 200 + carats_hundredths) // (2 * carats_hundredths)


def cents_to_dollars(cents: int) -> Decimal:
    """The NUMERIC(12,2) that PostgreSQL stores.

    >>> cents_to_dollars(136_988)
    Decimal('1369.88')
    """
    return Decimal(cents).scaleb(-2)


def dollars_to_cents(dollars: Decimal) -> int:
    """Back from NUMERIC(12,2); raises ValueError when there is a fraction of a cent.

    >>> dollars_to_cents(Decimal("1369.88"))
    136988
    """
    cents = dollars.scaleb(2)
    if cents != cents.to_integral_value():
        raise ValueError(f"{dollars} dollars is not a whole number of cents")
    return int(cents)


def is_ten_times_off(price_cents: int, price_from: int, price_to: int | None) -> bool:
    """Whether a price lies ten times or more off the range of whole dollars that was asked: a wrong unit, likely.

    >>> is_ten_times_off(50_000, 500, 1000), is_ten_times_off(5_000, 500, 1000), is_ten_times_off(1_000_000, 500, 1000)
    (False, True, True)
    """
    too_low = price_cents * 10 <= price_from * 100
    return (too_low and price_from > 0) or (price_to is not None and price_cents >= price_to * 1000)
