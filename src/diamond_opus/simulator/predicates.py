"""The fields of DiamondQuery as tests on columns: what each of them asks of a stone.

Meanings that no public source tells are inventions, marked "invented".
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from diamond_opus.simulator import vocabulary as words
from diamond_opus.simulator.columns import Columns, Flags, Rows

#: Which of some rows pass.
Predicate = Callable[[Columns, Rows], Flags]

#: Makes the predicate of one field from the whole query and the field's name. Raises RefusedFilterError.
Maker = Callable[[Mapping[str, Any], str], Predicate]


_RATIO_SCALE = 10_000
_BEYOND = 1 << 31  # more than any column holds


class RefusedFilterError(Exception):
    """The filter cannot be honoured; the text is for ``errors[].message``."""


def markup_cents(cents: Any) -> Any:
    """The simulated account sells at 20 % above cost; for one price or an array of them."""
    return cents * 6 // 5


def marked_up(cents: tuple[int, int]) -> Predicate:
    """The marked-up price lies between the ends, both included."""

    def predicate(columns: Columns, rows: Rows) -> Flags:
        prices = markup_cents(columns.price_cents[rows].astype(np.int64))
        kept: Flags = (prices >= cents[0]) & (prices <= cents[1])
        return kept

    return predicate


def member(column: str, codes: Sequence[int], size: int = 256) -> Predicate:
    """Rows whose code is one of ``codes``."""
    table = np.zeros(size, dtype=np.bool_)
    table[list(codes)] = True

    def predicate(columns: Columns, rows: Rows) -> Flags:
        found: Flags = table[getattr(columns, column)[rows]]
        return found

    return predicate


def _flag(column: str, *, wanted: bool = True) -> Predicate:
    def predicate(columns: Columns, rows: Rows) -> Flags:
        found: Flags = getattr(columns, column)[rows] == wanted
        return found

    return predicate


def _word_filter(column: str, vocabulary: words.Words) -> Maker:
    return lambda given, name: member(column, vocabulary.codes(given[name]))


def _text_filter(column: str, vocabulary: words.Words) -> Maker:
    """Free text, compared without regard to letter case and separators."""

    def make(given: Mapping[str, Any], name: str) -> Predicate:
        wanted = {_plain(text) for text in given[name]}
        codes = [
            code for code, word in enumerate(vocabulary.values) if word is not None and _plain(word) in wanted
        ]
        return member(column, codes)

    return make


def _plain(text: str) -> str:
    return text.upper().replace("_", " ").replace("-", " ")


def _scaled_ends(ends: Mapping[str, float], scale: int) -> tuple[int, int]:
    """The inclusive ends in units of the column, exact for what the client wrote (0.29 is 29 hundredths)."""
    low = (Decimal(repr(ends["from"])) * scale).to_integral_value(ROUND_CEILING)
    high = (Decimal(repr(ends["to"])) * scale).to_integral_value(ROUND_FLOOR)
    return max(-1, min(int(low), _BEYOND)), max(-1, min(int(high), _BEYOND))


def _float_range(column: str, scale: int) -> Maker:
    def make(given: Mapping[str, Any], name: str) -> Predicate:
        low, high = _scaled_ends(given[name], scale)
        return lambda columns, rows: (
            _between(getattr(columns, column)[rows], low, high) & (getattr(columns, column)[rows] > 0)
        )

    return make


def _between(values: npt.NDArray[Any], low: int, high: int) -> Flags:
    wide = values.astype(np.int64)
    found: Flags = (wide >= low) & (wide <= high)
    return found


def _sizes(given: Mapping[str, Any], name: str) -> Predicate:
    ranges = [_scaled_ends(ends, 100) for ends in given[name]]

    def predicate(columns: Columns, rows: Rows) -> Flags:
        carats = columns.carats_h[rows]
        within = np.zeros(len(rows), dtype=np.bool_)
        for low, high in ranges:
            within |= _between(carats, low, high)
        return within

    return predicate


def _per_carat(given: Mapping[str, Any], name: str) -> Predicate:
    low, high = given[name]["from"], given[name]["to"]

    def predicate(columns: Columns, rows: Rows) -> Flags:
        prices = columns.price_cents[rows].astype(np.int64)
        carats = columns.carats_h[rows].astype(np.int64)
        found: Flags = (prices >= low * carats) & (prices <= high * carats)
        return found

    return predicate


def _discount(given: Mapping[str, Any], name: str) -> Predicate:
    """Whole percents, inclusive: invented."""
    low, high = given[name]["from"] * 100, given[name]["to"] * 100
    return lambda columns, rows: _between(columns.discount[rows], low, high)


def _ratio(given: Mapping[str, Any], name: str) -> Predicate:
    """Length by width, exact to a ten-thousandth of the ends."""
    low, high = _scaled_ends(given[name], _RATIO_SCALE)

    def predicate(columns: Columns, rows: Rows) -> Flags:
        lengths, widths = columns.length_h[rows].astype(np.int64), columns.width_h[rows].astype(np.int64)
        found: Flags = (
            (widths > 0)
            & (lengths * _RATIO_SCALE >= low * widths)
            & (lengths * _RATIO_SCALE <= high * widths)
        )
        return found

    return predicate


def _media(given: Mapping[str, Any], _name: str) -> Predicate:
    """Both asked means either of them; false asks for nothing (the latter is invented)."""
    columns_asked = [
        column
        for field, column in (("has_image", "has_image"), ("has_v360", "has_video"))
        if given.get(field)
    ]
    if not columns_asked:
        return _everything
    return lambda columns, rows: np.logical_or.reduce(
        [getattr(columns, column)[rows] for column in columns_asked]
    )


def _everything(_columns: Columns, rows: Rows) -> Flags:
    return np.ones(len(rows), dtype=np.bool_)


def _if_true(predicate: Predicate) -> Maker:
    return lambda given, name: predicate if given[name] else _everything


def _tinge(column: str, unknown_flag: str) -> Maker:
    """Codes are positions in TINGES, 0 for none (invented); ``sub`` and ``sul`` let the unknown ones in."""
    unknown = words.TINGES.values.index(None)

    def make(given: Mapping[str, Any], name: str) -> Predicate:
        codes = [code for code in given[name] if 0 <= code < unknown]
        return member(column, [*codes, unknown] if given.get(unknown_flag) else codes)

    return make


_EYE_CLEAN = {"Yes": {"Yes", "100%"}, "Borderline": {"Borderline", "90%", "80%"}, "No": {"No"}}


def _eye_clean(given: Mapping[str, Any], name: str) -> Predicate:
    wanted = set().union(*(_EYE_CLEAN[value] for value in given[name]))
    codes = words.EYE_CLEANS.codes(wanted)
    return member("eye_clean", [*codes, words.EYE_CLEANS.values.index(None)] if given.get("sue") else codes)


def _girdle(given: Mapping[str, Any], name: str) -> Predicate:
    wanted = set(given[name])
    if "ANY" in wanted:
        return _everything
    return member(
        "girdle", words.GIRDLES.codes(text for text, codes in words.GIRDLE_CODES.items() if codes & wanted)
    )


def _fluorescence_color(given: Mapping[str, Any], name: str) -> Predicate:
    wanted = {value.upper() for value in given[name]}
    values = words.FLUORESCENCE_COLORS.values
    codes = [
        code for code, text in enumerate(values) if text and {"B": "BLUE"}.get(text, text.upper()) in wanted
    ]
    return member("fluorescence_color", codes)


def _culet(given: Mapping[str, Any], name: str) -> Predicate:
    wanted = set(given[name])
    return member("culet", words.CULETS.codes([*wanted, *(("NONE", "") if "NON" in wanted else ())]))


def _key_to_symbols(given: Mapping[str, Any], name: str) -> Predicate:
    """Stones with any of the symbols, or with none of them if ``key_to_symbols_contains`` is false;
    ``suk``: unknown too.
    """
    symbols = {symbol.lower() for symbol in given[name] if symbol}
    contains = given.get("key_to_symbols_contains", True)
    codes = [
        code
        for code, text in enumerate(words.KEYS_TO_SYMBOLS.values)
        if (given.get("suk") if text is None else any(each in text.lower() for each in symbols) == contains)
    ]
    return member("key_to_symbols", codes)


def _delivery(given: Mapping[str, Any], name: str) -> Predicate:
    """Deliverable within the greatest number of business days given: invented."""
    limit = max(given[name])
    return member("delivery", [code for code, time in enumerate(words.DELIVERY_TIMES) if time[2] <= limit])


def _return_window(given: Mapping[str, Any], name: str) -> Predicate:
    """Returnable for at least so many days: invented."""
    least = given[name]
    return member(
        "returns", [code for code, days in enumerate(words.RETURN_WINDOWS) if days and days >= least]
    )


def _updated(given: Mapping[str, Any], name: str) -> Predicate:
    low, high = (_epoch_ms(given[name].get(end), end) for end in ("from", "to"))

    def predicate(columns: Columns, rows: Rows) -> Flags:
        updated = columns.updated_ms[rows]
        found = np.ones(len(rows), dtype=np.bool_)
        if low is not None:
            found &= updated >= low
        if high is not None:
            found &= updated <= high
        return found

    return predicate


def _epoch_ms(text: str | None, end: str) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RefusedFilterError(f'updated.{end} is not an ISO 8601 date: "{text}"') from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


_FAIR_OR_POOR = words.QUALITIES.codes(("PR", "P", "FR", "F"))
_BETTER_OR_NO_CUT = [code for code in range(words.NULL + 1) if code not in _FAIR_OR_POOR]
_NOT_MEMO = [
    code
    for code, word in enumerate(words.AVAILABILITIES.values)
    if word not in {"MEMO", "ON_MEMO", "CONSIGNMENT"}
]

PREDICATES: dict[str, Maker] = {
    "dollar_per_carat": _per_carat,
    "sizes": _sizes,
    "shapes": _word_filter("shape", words.SHAPES),
    "color": _word_filter("color", words.COLORS),
    "clarity": _word_filter("clarity", words.CLARITIES),
    "cut": _word_filter("cut", words.QUALITIES),
    "polish": _word_filter("polish", words.QUALITIES),
    "symmetry": _word_filter("symmetry", words.QUALITIES),
    "flouresence": _word_filter("fluorescence", words.FLUORESCENCES),
    "flouresence_color": _fluorescence_color,
    "certificate_lab": _word_filter("lab", words.NATURAL_LABS),
    "availability": _word_filter("availability", words.AVAILABILITIES),
    "labgrown_type": _word_filter("labgrown_type", words.LABGROWN_TYPES),
    "fancyColor": _text_filter("fancy_color", words.FANCY_COLORS),
    "fancyIntensity": _text_filter("fancy_intensity", words.FANCY_INTENSITIES),
    "fancyOvertone": _text_filter("fancy_overtone", words.FANCY_OVERTONES),
    "mine_of_origin": _text_filter("mine", words.MINES),
    "location": _text_filter("location", words.LOCATIONS),
    "girdle": _girdle,
    "culet": _culet,
    "key_to_symbols": _key_to_symbols,
    "eyeClean": _eye_clean,
    "brown": _tinge("brown", "sub"),
    "green": _tinge("green", "sub"),
    "blue": _tinge("blue", "sub"),
    "gray": _tinge("gray", "sub"),
    "luster": _tinge("milky", "sul"),
    "discount": _discount,
    "ratio": _ratio,
    "length_mm": _float_range("length_h", 100),
    "width_mm": _float_range("width_h", 100),
    "depth_mm": _float_range("depth_h", 100),
    "table_percentage": _float_range("table_t", 10),
    "depth_percentage": _float_range("depth_percent_t", 10),
    "pav_percentage": _float_range("pavilion_depth_t", 10),
    "pav_angle": _float_range("pavilion_angle_t", 10),
    "crown_angle": _float_range("crown_angle_t", 10),
    "star_length": _float_range("star_length", 1),
    "lower_half": _float_range("lower_half", 1),
    "has_image": _media,
    "has_v360": _media,
    "has_certpdf": _if_true(_flag("has_pdf")),
    "hide_memo": _if_true(member("availability", _NOT_MEMO)),
    "excludeFairPoorCuts": _if_true(member("cut", _BETTER_OR_NO_CUT)),
    "treated": lambda given, name: _flag("treated", wanted=given[name]),
    "returns": _if_true(member("returns", [1, 2, 3])),
    "return_window_timeline": _return_window,
    "delivery_time": _delivery,
    "updated": _updated,
}
