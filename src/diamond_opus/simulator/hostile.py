"""Hostile stones: the odd answers a reader must survive, and what an honest reader does with each.

The table ``KINDS`` is the whole truth. ``accepted`` means the stone becomes a diamond (an odd single field
may become null); ``rejected`` means it cannot be one, for the reason given; ``unreadable`` means its item
is null in the page, or has no identity; ``either`` means it depends on the range that was asked. Verdicts
suppose a query that asks for the field. Codes are stored in the column ``hostile``: 0 is an honest stone, n
is ``KINDS[n - 1]``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import orjson

from diamond_opus.simulator.columns import Columns
from diamond_opus.simulator.vocabulary import AVAILABILITIES, COLORS, NULL

Verdict = Literal["accepted", "rejected", "unreadable", "either"]

#: A schema path below DiamondItem, such as ("diamond", "certificate", "carats").
FieldPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A field the server cannot serialise: it, or its nearest nullable parent, is null and ``message`` is told."""

    message: str


#: What a hostile stone answers instead: finished JSON, or a failure.
Overrides = Mapping[FieldPath, str | Failure]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the overrides of one stone are made from."""

    price_cents: int
    carats_h: int
    salt: int


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to be hostile: ``wants`` narrows the stones it may befall, ``option`` is the setting it needs."""

    name: str
    verdict: Verdict
    reason: str
    overrides: Callable[[Facts], Overrides] = lambda _: {}
    wants: Literal["any", "lab_grown", "priced"] = "any"
    option: Literal["always", "wrong_types", "lone_surrogates"] = "always"
    weight: float = 1.0


_CERTIFICATE = ("diamond", "certificate")
_INT_MAX = 2_147_483_647

_UNICODE = (
    'Ø 5 \U0001f48e "quoted" back\\slash tab\t line\nfeed \u2028 \u202eabc\u202c e\u0301 \ud55c\uae00 '
    "\\u0000 \\ud800 </script> %s {}"
)
_LONG = {"length": "7.200000", "width": "7.100000", "depth": "4.400000"}
_WORDS = {"length": "7.2mm", "width": "N/A", "depth": "", "depthPercentage": "61,5", "table": "null"}
_ABSURD = {
    "length": "99999999999.99",
    "width": "-7.1",
    "depth": "1e400",
    "depthPercentage": "NaN",
    "table": "Inf",
}


def _certificate(**values: object) -> Overrides:
    return {(*_CERTIFICATE, name): orjson.dumps(value).decode() for name, value in values.items()}


def _non_null(path: FieldPath, type_name: str) -> Overrides:
    return {path: Failure(f"Cannot return null for non-nullable field {type_name}.{path[-1]}.")}


def _bad_enum(path: FieldPath, enum: str, value: str) -> Overrides:
    return {path: Failure(f'Enum "{enum}" cannot represent value: "{value}"')}


def _price(facts: Facts, factor: int) -> Overrides:
    return {("price",): str(min(facts.price_cents * factor, _INT_MAX))}


def _comments(json_text: str) -> Overrides:
    return {(*_CERTIFICATE, "comments"): json_text}


KINDS: tuple[Kind, ...] = (
    Kind("price_zero", "rejected", "a price of 0; the stone is listed at 0 too"),
    Kind("price_null", "unreadable", "price is Int!, so the item is null",
         lambda _: _non_null(("price",), "DiamondItem")),
    Kind("price_times_10", "either", "ten times its listing: rejected where the range asked shows it",
         lambda facts: _price(facts, 10), wants="priced"),
    Kind("price_times_100", "either", "a hundred times its listing: rejected where the range asked shows it",
         lambda facts: _price(facts, 100), wants="priced"),
    Kind("carats_zero", "rejected", "carats of 0", lambda _: _certificate(carats=0)),
    Kind("carats_null", "unreadable", "carats is Float!, so the item is null",
         lambda _: _non_null((*_CERTIFICATE, "carats"), "Certificate")),
    Kind("carats_thousands", "rejected", "1000 carats or more",
         lambda facts: _certificate(carats=1000 + facts.salt % 4000)),
    Kind("carats_long", "accepted", "carats with a binary tail, rounded to hundredths",
         lambda facts: {(*_CERTIFICATE, "carats"): f"{facts.carats_h / 100:.2f}0000001"}),
    Kind("shape_empty", "rejected", "no shape", lambda _: _certificate(shape="")),
    Kind("shape_blank", "rejected", "no shape but blanks", lambda _: _certificate(shape="  ")),
    Kind("shape_mixed_case", "accepted", "a known shape in other letters",
         lambda _: _certificate(shape=" Cushion  b")),
    Kind("shape_unheard", "accepted", "a shape nobody listed", lambda _: _certificate(shape="DRAGON SCALE")),
    Kind("availability_odd", "accepted", "one of the rare words of the enum"),
    Kind("availability_unserialisable", "unreadable", "a non-null enum fails, so the item is null",
         lambda _: _bad_enum(("diamond", "availability"), "ProductAvailability", "On Hold")),
    Kind("girdle_null_text", "accepted", "girdle is the four letters null",
         lambda _: _certificate(girdle="null")),
    Kind("measures_zero", "accepted", 'measurements "0" are unknown',
         lambda _: _certificate(**dict.fromkeys(_WORDS, "0"))),
    Kind("measures_long", "accepted", "six decimals", lambda _: _certificate(**_LONG)),
    Kind("measures_words", "accepted", "unreadable measurements become null", lambda _: _certificate(**_WORDS)),
    Kind("measures_absurd", "accepted", "measurements no column holds become null",
         lambda _: _certificate(**_ABSURD)),
    Kind("eye_clean_percent", "accepted", 'eyeClean is "100%"', lambda _: {("diamond", "eyeClean"): '"100%"'}),
    Kind("comments_huge", "accepted", "100 KB of comments", weight=0.05,
         overrides=lambda facts: _certificate(comments=f"{facts.salt:020d} inscription; " * 3_000)),
    Kind("comments_unicode", "accepted", "quotes, backslashes, controls, emoji, words that look like escapes",
         lambda _: _certificate(comments=_UNICODE)),
    Kind("comments_nul", "accepted", "an escaped NUL, which jsonb and text refuse: comments become null",
         lambda _: _comments('"before\\u0000after"')),
    Kind("certificate_null", "unreadable", "certificate is not null, so the item is null",
         lambda _: _non_null(_CERTIFICATE, "Diamond")),
    Kind("labgrown_null", "accepted", "labgrown null: the answer to a lab-grown question is lab-grown",
         lambda _: _certificate(labgrown=None), wants="lab_grown"),
    Kind("duplicate_certificate", "accepted", "one certificate offered by two suppliers: two stones"),
    Kind("fancy_without_color", "accepted", "color FANCY without f_color",
         lambda _: _certificate(color="FANCY", f_color=None, f_intensity=None, f_overtone=None)),
    Kind("white_with_fancy_color", "accepted", "a white color with f_color",
         lambda _: _certificate(color="G", f_color="EVEN", f_intensity="FANCY_LIGHT")),
    Kind("clarity_null", "accepted", "clarity unknown", lambda _: _certificate(clarity=None)),
    Kind("clarity_unserialisable", "accepted", "clarity null beside an error",
         lambda _: _bad_enum((*_CERTIFICATE, "clarity"), "DiamondClarity", "VS")),
    Kind("color_unserialisable", "unreadable", "a non-null enum fails, so the item is null",
         lambda _: _bad_enum((*_CERTIFICATE, "color"), "DiamondColor", "D-E")),
    Kind("number_for_string", "accepted", "measurements as numbers", option="wrong_types",
         overrides=lambda _: _certificate(length=7.12, width=7, depth=4.4)),
    Kind("price_fraction", "rejected", "a fraction of a cent", option="wrong_types",
         overrides=lambda facts: {("price",): f"{facts.price_cents}.5"}),
    Kind("price_text", "either", "the price as text: a reader may take or reject it", option="wrong_types",
         overrides=lambda facts: {("price",): f'"{facts.price_cents}"'}),
    Kind("comments_lone_surrogate", "either", "an escape that is no character: many parsers refuse the page",
         option="lone_surrogates", overrides=lambda _: _comments('"before\\ud800after"')),
)  # fmt: skip

_CODES = {kind.name: code for code, kind in enumerate(KINDS, start=1)}
DUPLICATE_CERTIFICATE = _CODES["duplicate_certificate"]
PRICE_ZERO = _CODES["price_zero"]
AVAILABILITY_ODD = _CODES["availability_odd"]

#: What two offers of one certificate have in common.
_CERTIFICATE_COLUMNS = (
    "lab_grown", "carats_h", "shape", "color", "clarity", "cut", "polish", "symmetry", "fluorescence",
    "fluorescence_color", "lab", "labgrown_type", "fancy_color", "fancy_intensity", "fancy_overtone", "girdle",
    "culet", "key_to_symbols", "comment", "measure_style", "treated", "length_h", "width_h", "depth_h", "table_t",
    "depth_percent_t", "crown_angle_t", "pavilion_angle_t", "pavilion_depth_t", "star_length", "lower_half",
)  # fmt: skip
_ODD_AVAILABILITIES = [
    AVAILABILITIES.code(word) for word in ("CONSIGNMENT", "ON_MEMO", "NOT_AVAILABLE", "SOLD_OUT")
]


def kind_of(code: int) -> Kind | None:
    return KINDS[code - 1] if code else None


def mark_hostile(
    columns: Columns, rng: np.random.Generator, *, share: float, options: frozenset[str]
) -> None:
    """Turn about ``share`` of a fresh block into hostile stones; ``options`` are the settings that are on."""
    count = columns.capacity
    offered = [
        code for code, kind in enumerate(KINDS, start=1) if kind.option == "always" or kind.option in options
    ]
    for row in np.flatnonzero(rng.random(count) < share).tolist():
        codes = [code for code in offered if _may_befall(KINDS[code - 1], columns, row)]
        weights = np.array([KINDS[code - 1].weight for code in codes])
        code = int(rng.choice(codes, p=weights / weights.sum()))
        columns.hostile[row] = code
        _edit_columns(columns, row, code, int(rng.integers(len(_ODD_AVAILABILITIES))))


def _may_befall(kind: Kind, columns: Columns, row: int) -> bool:
    if kind.name == "duplicate_certificate":
        return row > 0 and columns.hostile[row - 1] == 0
    if kind.wants == "lab_grown":
        return bool(columns.lab_grown[row])
    return kind.wants == "any" or bool(columns.price_cents[row] < _INT_MAX // 100)


def _edit_columns(columns: Columns, row: int, code: int, pick: int) -> None:
    """What a kind changes in the listing itself, so that filters see it too."""
    if code == PRICE_ZERO:
        columns.price_cents[row] = 0
    elif code == DUPLICATE_CERTIFICATE:
        columns.copy_row(row - 1, row, _CERTIFICATE_COLUMNS)
    elif code == AVAILABILITY_ODD:
        columns.availability[row] = _ODD_AVAILABILITIES[pick]
    elif KINDS[code - 1].name == "fancy_without_color":
        columns.color[row] = COLORS.code("FANCY")
        columns.fancy_color[row] = NULL
    elif KINDS[code - 1].name == "clarity_null":
        columns.clarity[row] = NULL
