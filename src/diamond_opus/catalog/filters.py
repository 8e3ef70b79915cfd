"""Which filters a search has: for each its parameter, and the condition on a stored column that it means.

Values are brought to the stored spelling while they are read, so that no condition has a function on a column.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from diamond_opus.catalog.conditions import AnyOf, AtLeast, AtMost, Condition, IsTrue, OnlySql
from diamond_opus.catalog.parameters import (
    DecimalNumber,
    Identifier,
    Kind,
    Moment,
    OneOf,
    Parameter,
    Text,
    TrueOrFalse,
    WholeNumber,
)
from diamond_opus.domain.grades import CLARITIES, COLORS, FLUORESCENCES, QUALITIES, Availability
from diamond_opus.domain.money import cents_to_dollars
from diamond_opus.domain.shapes import normalise_shape

#: The filter that reaches stones no longer on sale.
UPDATED_SINCE = "updated_since"

#: Columns that have a histogram, and its name; a range of theirs does not narrow it.
_HISTOGRAMS = {"price_model_price": "price", "carats": "carats"}

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
_PERCENT = DecimalNumber(0, 99_999)
_DAYS = WholeNumber(0, 10_000)
_UPPER = Text(lambda text: text.strip().upper())
_QUALITY = OneOf(QUALITIES, _QUALITY_WORDS)


@dataclass(frozen=True, slots=True)
class Filter:
    """A parameter and what it asks: ``sql`` names the value as ``{value}`` and ``bind`` makes what the driver gets;
    ``condition`` says the same to the index in memory.

    ``facet`` is the facet that this filter is about, which is counted as if it were not set.
    """

    parameter: Parameter
    sql: LiteralString
    condition: Condition
    bind: Callable[[Any], Any] = lambda value: value
    facet: str | None = None


def _any_of(name: str, column: LiteralString, kind: Kind, description: str) -> Filter:
    parameter = Parameter(name, kind, description, many=True)
    return Filter(parameter, column + " = ANY({value})", AnyOf(column), list, column)


def _only_sql_any_of(name: str, column: LiteralString, kind: Kind, description: str) -> Filter:
    parameter = Parameter(name, kind, description, many=True)
    return Filter(parameter, column + " = ANY({value})", OnlySql(), list)


def _is(name: str, column: LiteralString, description: str, *, nullable: bool = False) -> Filter:
    facet = name if name == "lab_grown" else None
    parameter = Parameter(name, TrueOrFalse(), description)
    return Filter(parameter, column + " = {value}", IsTrue(name, nullable), facet=facet)


def _at_least(name: str, column: LiteralString, kind: Kind, scale: int, description: str) -> Filter:
    parameter = Parameter(name, kind, f"At least this {description}.")
    return Filter(parameter, column + " >= {value}", AtLeast(column, scale), facet=_HISTOGRAMS.get(column))


def _at_most(name: str, column: LiteralString, kind: Kind, scale: int, description: str) -> Filter:
    parameter = Parameter(name, kind, f"At most this {description}.")
    return Filter(parameter, column + " <= {value}", AtMost(column, scale), facet=_HISTOGRAMS.get(column))


def _cents_from(name: str, column: LiteralString, what: str, needs: str | None = None) -> Filter:
    parameter = Parameter(name, _CENTS, f"At least this {what} in US cents.", needs=needs)
    return Filter(
        parameter, column + " >= {value}", AtLeast(column), cents_to_dollars, _HISTOGRAMS.get(column)
    )


def _cents_to(name: str, column: LiteralString, what: str, needs: str | None = None) -> Filter:
    parameter = Parameter(name, _CENTS, f"At most this {what} in US cents.", needs=needs)
    return Filter(
        parameter, column + " <= {value}", AtMost(column), cents_to_dollars, _HISTOGRAMS.get(column)
    )


_ALL = (
    _any_of("shape", "shape", Text(normalise_shape, 50), "Shapes, such as ROUND or CUSHION BRILLIANT."),
    _at_least("carat_min", "carats", _CARATS, 100, "weight in carats"),
    _at_most("carat_max", "carats", _CARATS, 100, "weight in carats"),
    _any_of("color", "color", OneOf(COLORS), "Colours; FANCY stands for all fancy colours."),
    _any_of("fancy_color", "fancy_color", _UPPER, "Fancy colours, such as YELLOW."),
    _any_of("fancy_intensity", "fancy_intensity", _UPPER, "Intensities of fancy colours, such as VIVID."),
    _any_of("clarity", "clarity", OneOf(CLARITIES), "Clarities."),
    _any_of("cut", "cut", _QUALITY, "Cut grades; words such as excellent are understood."),
    _any_of("polish", "polish", _QUALITY, "Polish grades."),
    _any_of("symmetry", "symmetry", _QUALITY, "Symmetry grades."),
    _any_of(
        "fluorescence", "fluorescence", OneOf(FLUORESCENCES, _FLUORESCENCE_WORDS), "Fluorescence intensities."
    ),
    _is("lab_grown", "lab_grown", "Lab-grown stones, or natural ones."),
    _is("treated", "treated", "Treated stones, or untreated ones."),
    _cents_from("price_min", "price_model_price", "selling price"),
    _cents_to("price_max", "price_model_price", "selling price"),
    _cents_from("cost_min", "feed_price", "cost", "cost"),
    _cents_to("cost_max", "feed_price", "cost", "cost"),
    _any_of("certificate_lab", "certificate_lab", _UPPER, "Laboratories, such as GIA."),
    _only_sql_any_of(
        "certificate_number", "certificate_number", Text(), "Certificate numbers, exactly as printed."
    ),
    _any_of("availability", "availability", OneOf(tuple(Availability)), "What may be done with the stone."),
    _any_of("feed", "feed", Text(lambda text: text.strip().lower()), "Where the stone was read from."),
    _at_least("rating_min", "rating", _RATING, 1, "rating"),
    _at_most("rating_max", "rating", _RATING, 1, "rating"),
    _at_least("ratio_min", "ratio", _RATIO, 1000, "ratio of length to width"),
    _at_most("ratio_max", "ratio", _RATIO, 1000, "ratio of length to width"),
    _at_least("table_min", "table_percent", _PERCENT, 100, "table in percent"),
    _at_most("table_max", "table_percent", _PERCENT, 100, "table in percent"),
    _at_least("depth_min", "depth_percent", _PERCENT, 100, "depth in percent"),
    _at_most("depth_max", "depth_percent", _PERCENT, 100, "depth in percent"),
    _at_most("delivery_days_max", "delivery_days_max", _DAYS, 1, "longest delivery time in business days"),
    _is("has_image", "(image_url IS NOT NULL)", "Stones with an image, or without."),
    _is("has_video", "(video_url IS NOT NULL)", "Stones with a video, or without."),
    _is("eye_clean", "eye_clean", "Stones that are clean to the eye, or are not.", nullable=True),
    _is("returnable", "returnable", "Stones that may be returned, or may not.", nullable=True),
    _only_sql_any_of("ids", "id", Identifier(), "Ids of stones, at most 100."),
    Filter(
        Parameter(
            UPDATED_SINCE,
            Moment(),
            "Stones that changed at or after this time, those that were removed among them (status deleted). The "
            "header X-As-Of of an answer is the time to ask from next.",
        ),
        "updated_at >= {value}",
        OnlySql(),
    ),
)

#: By the parameter's name.
FILTERS: Mapping[str, Filter] = {one.parameter.name: one for one in _ALL}
#: Minimum and maximum of the same thing.
RANGES: Sequence[tuple[str, str]] = tuple(
    (name, name.removesuffix("_min") + "_max") for name in FILTERS if name.endswith("_min")
)


def conditions(filters: Mapping[str, Any]) -> list[sql.Composable]:
    """The SQL of a search's filters, each value as the placeholder of its name; stones on sale, unless
    ``updated_since`` asks for what was removed as well."""
    on_sale = [] if UPDATED_SINCE in filters else [sql.SQL("status = 'active'")]
    return [
        *on_sale,
        *(sql.SQL(FILTERS[name].sql).format(value=sql.Placeholder(name)) for name in filters),
    ]


def bind(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the driver gets for each filter's placeholder."""
    return {name: FILTERS[name].bind(value) for name, value in values.items()}
