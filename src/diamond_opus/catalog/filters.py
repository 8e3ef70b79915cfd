"""Which filters a search has: for each its parameter, and the condition on a stored column that it means.

Values are brought to the stored spelling while they are read, so that no condition has a function on a column.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from diamond_opus.catalog.parameters import (
    DecimalNumber,
    Identifier,
    Kind,
    OneOf,
    Parameter,
    Text,
    TrueOrFalse,
    WholeNumber,
)
from diamond_opus.domain.grades import CLARITIES, COLORS, FLUORESCENCES, QUALITIES, Availability
from diamond_opus.domain.money import cents_to_dollars
from diamond_opus.domain.shapes import normalise_shape

#: NUMERIC(12,2) dollars hold no more.
MOST_CENTS = 999_999_999_999

_QUALITY_WORDS = {
    "8X": "EIGHTX", "IDEAL": "ID", "EXCELLENT": "EX", "VERY GOOD": "VG", "GOOD": "G", "FAIR": "F", "POOR": "P",
}  # fmt: skip
_FLUORESCENCE_WORDS = {
    "NONE": "NON", "VERY SLIGHT": "VSL", "FAINT": "FNT", "SLIGHT": "SLT", "MEDIUM": "MED", "STRONG": "STG",
    "VERY STRONG": "VST",
}  # fmt: skip

_CARATS = DecimalNumber(0, 9_999)
_CENTS = WholeNumber(0, MOST_CENTS)
_RATING = WholeNumber(1, 10)
_RATIO = DecimalNumber(0, 99_999)
_QUALITY = OneOf(QUALITIES, _QUALITY_WORDS)


@dataclass(frozen=True, slots=True)
class Filter:
    """A parameter and its condition, which names the value as ``{value}``; ``bind`` makes what the driver gets."""

    parameter: Parameter
    condition: LiteralString
    bind: Callable[[Any], Any] = lambda value: value


def _any_of(name: str, column: LiteralString, kind: Kind, description: str) -> Filter:
    return Filter(Parameter(name, kind, description, many=True), column + " = ANY({value})", list)


def _equals(name: str, column: LiteralString, kind: Kind, description: str) -> Filter:
    return Filter(Parameter(name, kind, description), column + " = {value}")


def _at_least(name: str, column: LiteralString, kind: Kind, description: str) -> Filter:
    return Filter(Parameter(name, kind, f"At least this {description}."), column + " >= {value}")


def _at_most(name: str, column: LiteralString, kind: Kind, description: str) -> Filter:
    return Filter(Parameter(name, kind, f"At most this {description}."), column + " <= {value}")


def _is_there(name: str, column: LiteralString, description: str) -> Filter:
    return Filter(Parameter(name, TrueOrFalse(), description), "(" + column + " IS NOT NULL) = {value}")


def _cents(name: str, condition: LiteralString, description: str, needs: str | None = None) -> Filter:
    return Filter(Parameter(name, _CENTS, description, needs=needs), condition, cents_to_dollars)


_ALL = (
    _any_of("shape", "shape", Text(normalise_shape, 50), "Shapes, such as ROUND or CUSHION BRILLIANT."),
    _at_least("carat_min", "carats", _CARATS, "weight in carats"),
    _at_most("carat_max", "carats", _CARATS, "weight in carats"),
    _any_of("color", "color", OneOf(COLORS), "Colours; FANCY stands for all fancy colours."),
    _any_of("clarity", "clarity", OneOf(CLARITIES), "Clarities."),
    _any_of("cut", "cut", _QUALITY, "Cut grades; words such as excellent are understood."),
    _any_of("polish", "polish", _QUALITY, "Polish grades."),
    _any_of("symmetry", "symmetry", _QUALITY, "Symmetry grades."),
    _any_of(
        "fluorescence", "fluorescence", OneOf(FLUORESCENCES, _FLUORESCENCE_WORDS), "Fluorescence intensities."
    ),
    _equals("lab_grown", "lab_grown", TrueOrFalse(), "Lab-grown stones, or natural ones."),
    _cents("price_min", "price_model_price >= {value}", "At least this selling price in US cents."),
    _cents("price_max", "price_model_price <= {value}", "At most this selling price in US cents."),
    _cents("cost_min", "feed_price >= {value}", "At least this cost in US cents.", "cost"),
    _cents("cost_max", "feed_price <= {value}", "At most this cost in US cents.", "cost"),
    _any_of(
        "certificate_lab",
        "certificate_lab",
        Text(lambda text: text.strip().upper()),
        "Laboratories, such as GIA.",
    ),
    _any_of("certificate_number", "certificate_number", Text(), "Certificate numbers, exactly as printed."),
    _any_of("availability", "availability", OneOf(tuple(Availability)), "What may be done with the stone."),
    _any_of("feed", "feed", Text(lambda text: text.strip().lower()), "Where the stone was read from."),
    _at_least("rating_min", "rating", _RATING, "rating"),
    _at_most("rating_max", "rating", _RATING, "rating"),
    _at_least("ratio_min", "ratio", _RATIO, "ratio of length to width"),
    _at_most("ratio_max", "ratio", _RATIO, "ratio of length to width"),
    _is_there("has_image", "image_url", "Stones with an image, or without."),
    _is_there("has_video", "video_url", "Stones with a video, or without."),
    _any_of("ids", "id", Identifier(), "Ids of stones, at most 100."),
)

#: By the parameter's name.
FILTERS: Mapping[str, Filter] = {one.parameter.name: one for one in _ALL}
#: Minimum and maximum of the same thing.
RANGES: Sequence[tuple[str, str]] = tuple(
    (name, name.removesuffix("_min") + "_max") for name in FILTERS if name.endswith("_min")
)


def condition(name: str) -> sql.Composed:
    """The filter's condition, with its value as the placeholder of the same name."""
    return sql.SQL(FILTERS[name].condition).format(value=sql.Placeholder(name))


def bind(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the driver gets for each filter's placeholder."""
    return {name: FILTERS[name].bind(value) for name, value in values.items()}
