"""What a pricing rule is, and which values it may hold: an invalid rule cannot exist."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from uuid import UUID

from diamond_opus.domain.errors import Fatal
from diamond_opus.domain.money import RATIO_SCALE
from diamond_opus.domain.shapes import normalise_shape

#: What ``numeric(5,4)`` and ``numeric(6,2)`` hold.
HIGHEST_RATIO_E4 = 99_999
HIGHEST_CARATS_HUNDREDTHS = 999_999
LOWEST_RATING, HIGHEST_RATING = 1, 10

_RATIO_ALLOWED = "a number above 0 and at most 9.9999, with at most four decimals"
_CARATS_ALLOWED = "null or a number from 0 to 9999.99, with at most two decimals"
_RATING_ALLOWED = "null or a whole number from 1 to 10"
_SHAPES_ALLOWED = "null (every shape) or a list with at least one name and no blank one"
_FEED_ALLOWED = "null (every feed) or the name of a feed"

#: Anything ``Decimal`` reads; a float passes only where it is exact, and 1.1 is not.
Number = Decimal | int | str


class InvalidRule(Fatal):
    """A rule that cannot be applied: it stops pricing, because skipping it would price stones wrongly."""

    def __init__(self, rule_id: UUID | str, field: str, value: object, allowed: str) -> None:
        super().__init__(
            f"pricing rule {rule_id}: {field} is {_shown(value)}, allowed is {allowed};"
            " correct the rule or set it inactive"
        )
        self.rule_id = rule_id
        self.field = field
        self.value = value
        self.allowed = allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingRule:
    """Which stones it is for, and what it makes of them; a criterion that is None matches every stone.

    Lower priorities come first, equal ones in the order of their ids, and the first match wins. Carat bounds
    are inclusive. Shapes are compared by their normalised names (domain/shapes.py).

    Raises InvalidRule for a value that is not allowed.
    """

    id: UUID | str
    priority: int = 100
    carat_min_hundredths: int | None = None
    carat_max_hundredths: int | None = None
    shapes: tuple[str, ...] | None = None
    lab_grown: bool | None = None
    feed: str | None = None
    markup_ratio_e4: int
    rating: int | None = None
    active: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.markup_ratio_e4 <= HIGHEST_RATIO_E4:
            raise InvalidRule(self.id, "markup_ratio", self.markup_ratio, _RATIO_ALLOWED)
        for field, hundredths in (
            ("carat_min", self.carat_min_hundredths),
            ("carat_max", self.carat_max_hundredths),
        ):
            if hundredths is not None and not 0 <= hundredths <= HIGHEST_CARATS_HUNDREDTHS:
                raise InvalidRule(self.id, field, Decimal(hundredths).scaleb(-2), _CARATS_ALLOWED)
        if (
            self.carat_min_hundredths is not None
            and self.carat_max_hundredths is not None
            and self.carat_min_hundredths > self.carat_max_hundredths
        ):
            raise InvalidRule(
                self.id, "carat_min", self.carat_min, f"at most carat_max, which is {self.carat_max}"
            )
        if self.rating is not None and not LOWEST_RATING <= self.rating <= HIGHEST_RATING:
            raise InvalidRule(self.id, "rating", self.rating, _RATING_ALLOWED)
        if self.shapes is not None and not (self.shapes and all(map(_is_shape, self.shapes))):
            raise InvalidRule(self.id, "shapes", list(self.shapes), _SHAPES_ALLOWED)
        if self.feed is not None and not self.feed.strip():
            raise InvalidRule(self.id, "feed", self.feed, _FEED_ALLOWED)

    @classmethod
    def create(
        cls,
        *,
        id: UUID | str,  # noqa: A002 - the column's own name
        markup_ratio: Number,
        priority: int = 100,
        carat_min: Number | None = None,
        carat_max: Number | None = None,
        shapes: Sequence[str] | None = None,
        lab_grown: bool | None = None,
        feed: str | None = None,
        rating: int | None = None,
        active: bool = True,
    ) -> "PricingRule":
        """A rule from the decimals that people, JSON and the table write.

        >>> rule = PricingRule.create(id="large", carat_min=Decimal("3.00"), markup_ratio=Decimal("1.25"))
        >>> rule.carat_min_hundredths, rule.markup_ratio_e4
        (300, 12500)
        >>> PricingRule.create(id="large", markup_ratio=Decimal("10"))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        diamond_opus.pricing.rules.InvalidRule: pricing rule large: markup_ratio is 10, allowed is a number...
        """
        return cls(
            id=id,
            priority=priority,
            carat_min_hundredths=_hundredths(id, "carat_min", carat_min),
            carat_max_hundredths=_hundredths(id, "carat_max", carat_max),
            shapes=None if shapes is None else tuple(shapes),
            lab_grown=lab_grown,
            feed=feed,
            markup_ratio_e4=_whole(id, "markup_ratio", markup_ratio, 4, _RATIO_ALLOWED),
            rating=rating,
            active=active,
        )

    @property
    def takes_every_stone(self) -> bool:
        """Whether it has no criterion at all."""
        return (
            self.carat_min_hundredths is None
            and self.carat_max_hundredths is None
            and self.shapes is None
            and self.lab_grown is None
            and self.feed is None
        )

    @property
    def markup_ratio(self) -> Decimal:
        """What ``numeric(5,4)`` stores: 1.15 for fifteen percent."""
        return Decimal(self.markup_ratio_e4) / RATIO_SCALE

    @property
    def carat_min(self) -> Decimal | None:
        return None if self.carat_min_hundredths is None else Decimal(self.carat_min_hundredths).scaleb(-2)

    @property
    def carat_max(self) -> Decimal | None:
        return None if self.carat_max_hundredths is None else Decimal(self.carat_max_hundredths).scaleb(-2)

    @property
    def normalised_shapes(self) -> frozenset[str] | None:
        """The shapes by the names that stones carry; several spellings of one shape become one."""
        return None if self.shapes is None else frozenset(map(normalise_shape, self.shapes))


def matching_order(rule: PricingRule) -> tuple[int, str]:
    """The order in which rules are tried; of UUIDs the text sorts as PostgreSQL sorts them."""
    return rule.priority, str(rule.id)


def whole_units(value: Number, decimals: int) -> int:
    """``value`` in units of its last decimal: 1.5 with 2 decimals is 150.

    Raises ValueError when it is not a finite number or has more decimals.
    """
    try:
        number = Decimal(value)
        rounded = number.quantize(Decimal(1).scaleb(-decimals))
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a finite number") from error
    if rounded != number:
        raise ValueError(f"{value} is not a number with at most {decimals} decimals")
    return int(rounded.scaleb(decimals))


def _hundredths(rule_id: UUID | str, field: str, value: Number | None) -> int | None:
    return None if value is None else _whole(rule_id, field, value, 2, _CARATS_ALLOWED)


def _whole(rule_id: UUID | str, field: str, value: Number, decimals: int, allowed: str) -> int:
    try:
        return whole_units(value, decimals)
    except ValueError as error:
        raise InvalidRule(rule_id, field, value, allowed) from error


def _is_shape(text: object) -> bool:
    return isinstance(text, str) and normalise_shape(text) != ""


def _shown(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)
