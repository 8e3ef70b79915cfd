"""What the supplier's words mean in ours: one spelling for each grade, shape, number and availability."""

import re
from collections.abc import Mapping

from diamond_opus.domain.grades import (
    CLARITY_RANK,
    COLOR_RANK,
    FLUORESCENCES,
    QUALITIES,
    Availability,
)
from diamond_opus.domain.shapes import normalise_shape

_MOST_DAYS = 3_650

_AVAILABILITIES: Mapping[str, Availability] = {
    "AVAILABLE": Availability.AVAILABLE,
    "HOLD": Availability.ON_HOLD,
    "ON HOLD": Availability.ON_HOLD,
    "SOLD": Availability.SOLD,
    "SOLD OUT": Availability.SOLD,
    "MEMO": Availability.UNAVAILABLE,
    "ON MEMO": Availability.UNAVAILABLE,
    "CONSIGNMENT": Availability.UNAVAILABLE,
    "NOT AVAILABLE": Availability.UNAVAILABLE,
    "UNAVAILABLE": Availability.UNAVAILABLE,
}
_QUALITIES: Mapping[str, str] = {name: name for name in QUALITIES} | {
    "8X": "EIGHTX",
    "EIGHT X": "EIGHTX",
    "IDEAL": "ID",
    "EXCELLENT": "EX",
    "VERY GOOD": "VG",
    "GD": "G",
    "GOOD": "G",
    "FR": "F",
    "FAIR": "F",
    "PR": "P",
    "POOR": "P",
}
_FLUORESCENCES: Mapping[str, str] = {name: name for name in FLUORESCENCES} | {
    "NONE": "NON",
    "VERY SLIGHT": "VSL",
    "SLIGHT": "SLT",
    "FAINT": "FNT",
    "MEDIUM": "MED",
    "STN": "STG",
    "STRONG": "STG",
    "VERY STRONG": "VST",
}
_FLUORESCENCE_COLORS: Mapping[str, str] = {"B": "BLUE", "GREY": "GRAY", "NONE": "", "NON": ""}
_NO_VALUE = frozenset({"", "NULL", "NONE", "N/A", "NA", "-"})
_NO_FANCY = _NO_VALUE | {"EVEN"}
_YES = frozenset({"YES", "Y", "TRUE"})
_NO = frozenset({"NO", "N", "FALSE"})

_SEPARATORS = re.compile(r"[\s_,/-]+")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?) ?%")
_NUMBER = re.compile(r"([+-]?\d{1,12}(?:\.\d{0,12})?|[+-]?\.\d{1,12}) ?(?:mm|%|°)?", re.IGNORECASE)


class OddValueError(ValueError):
    """A value that means nothing to us; the message says why. The field becomes null, the stone stays."""


def fold(text: str) -> str:
    """Upper case, every run of blanks, underscores, dashes, commas and slashes one blank.

    >>> fold(" fancy_intense-yellow ")
    'FANCY INTENSE YELLOW'
    """
    return _SEPARATORS.sub(" ", text).strip().upper()


def read_text(text: str | None) -> str | None:
    """A text worth keeping; blanks and the four letters "null" are none."""
    if text is None:
        return None
    text = text.strip()
    return None if text in ("", "null", "NULL") else text


def read_availability(text: str | None) -> tuple[Availability, bool]:
    """By exact words, and whether the word is known: an unknown one is never for sale.

    >>> read_availability("UNAVAILABLE")
    (<Availability.UNAVAILABLE: 'unavailable'>, True)
    """
    known = _AVAILABILITIES.get(fold(text or ""))
    return (Availability.UNAVAILABLE, False) if known is None else (known, True)


def read_shape(text: str | None) -> str | None:
    shape = normalise_shape(read_text(text) or "")
    return shape or None


def read_lab(text: str | None) -> str | None:
    lab = read_text(text)
    return None if lab is None else lab.upper()


def read_color(text: str | None) -> str | None:
    """A letter, a range of letters without its dash, or FANCY.

    >>> read_color("o-p"), read_color("Fancy Vivid Yellow")
    ('OP', 'FANCY')
    """
    folded = fold(text or "")
    if folded in _NO_VALUE:
        return None
    if folded.startswith("FANCY"):
        return "FANCY"
    letters = folded.replace(" ", "")
    if letters not in COLOR_RANK:
        raise OddValueError("unknown color")
    return letters


def read_clarity(text: str | None) -> str | None:
    folded = fold(text or "")
    if folded in _NO_VALUE:
        return None
    name = folded.replace(" ", "")
    if name not in CLARITY_RANK:
        raise OddValueError("unknown clarity")
    return name


def read_quality(text: str | None) -> str | None:
    """Cut, polish or symmetry.

    >>> read_quality("GD"), read_quality("Excellent")
    ('G', 'EX')
    """
    return _known(text, _QUALITIES, "unknown grade", _NO_VALUE)


def read_fluorescence(text: str | None) -> str | None:
    return _known(text, _FLUORESCENCES, "unknown fluorescence", _NO_VALUE - {"NONE"})


def read_fluorescence_color(text: str | None) -> str | None:
    folded = fold(text or "")
    return None if folded in _NO_VALUE else _FLUORESCENCE_COLORS.get(folded, folded) or None


def read_fancy(text: str | None) -> str | None:
    """A fancy color's hue, intensity or overtone; the supplier's noise there is none.

    >>> read_fancy("ORANGY-BROWN"), read_fancy("EVEN"), read_fancy("U-V"), read_fancy("GREY")
    ('ORANGY BROWN', None, None, 'GRAY')
    """
    folded = fold(text or "").replace("GREY", "GRAY")
    if folded in _NO_FANCY or folded.replace(" ", "") in COLOR_RANK:
        return None if folded != "FANCY" else folded
    return folded


def read_eye_clean(text: str | None) -> bool | None:
    """Yes or 100 % is clean, no is not; what lies between is left open.

    >>> read_eye_clean("100%"), read_eye_clean("90%"), read_eye_clean("No")
    (True, None, False)
    """
    folded = fold(text or "")
    if folded in _YES:
        return True
    if folded in _NO:
        return False
    percent = _PERCENT.fullmatch(folded)
    return True if percent is not None and float(percent[1]) >= 100 else None


def read_number(text: str | None) -> str | None:
    """A measurement as the text of a JSON number, exactly; "0" and "null" stand for unknown.

    >>> read_number("7.200000"), read_number("57 %"), read_number("0"), read_number("null")
    ('7.2', '57', None, None)
    """
    text = read_text(text)
    if text is None or text.upper() in _NO_VALUE:
        return None
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise OddValueError("not a number")
    sign, digits = match[1][0], match[1].lstrip("+-")
    whole, _, fraction = digits.partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    if whole == "0" and not fraction:
        return None
    if len(whole) > 3:
        raise OddValueError("out of range")
    number = f"{whole}.{fraction}" if fraction else whole
    return f"-{number}" if sign == "-" else number


def read_extent(text: str | None) -> str | None:
    """:func:`read_number` for what cannot be negative: millimetres and percentages."""
    number = read_number(text)
    if number is not None and number.startswith("-"):
        raise OddValueError("negative")
    return number


def read_url(text: str | None) -> str | None:
    """A web address; nothing else may become a link in a shop's page.

    >>> read_url("https://example.com/1.jpg"), read_url("")
    ('https://example.com/1.jpg', None)
    """
    text = read_text(text)
    if text is not None and not text.lower().startswith(("https://", "http://")):
        raise OddValueError("not a web address")
    return text


def read_days(days: int | None) -> int | None:
    if days is not None and not 0 <= days <= _MOST_DAYS:
        raise OddValueError("not a number of days")
    return days


def to_hundredths(number: str) -> int:
    """A positive JSON number's text in hundredths, rounded half up.

    >>> to_hundredths("7.125")
    713
    """
    whole, _, fraction = number.partition(".")
    digits = fraction.ljust(3, "0")
    return int(whole) * 100 + int(digits[:2]) + (digits[2] >= "5")


def _known(text: str | None, names: Mapping[str, str], reason: str, none: frozenset[str]) -> str | None:
    folded = fold(text or "")
    if folded in none:
        return None
    name = names.get(folded)
    if name is None:
        raise OddValueError(reason)
    return name
