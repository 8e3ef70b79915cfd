"""What groups of an item's fields come to, remembered: most combinations come again and again.

A reading raises ``OddValueError`` for a value that means nothing; such an item goes through ``repair``. JSON
members come as text with a comma behind, ready to be joined, or empty where there is nothing to tell.
"""

import re
from collections.abc import Callable, Hashable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import partial
from typing import Generic, TypeVar

import msgspec

from diamond_opus.domain.grades import CLARITY_RANK, COLOR_RANK
from diamond_opus.feeds.nivoda import words
from diamond_opus.feeds.protocol import Rejected

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Text = str | None

_MOST_REMEMBERED = 20_000
_LONGEST_REMEMBERED = 200
_MOST_CARATS_HUNDREDTHS = 99_999
_CARATS = "$.diamond.certificate.carats"

_JSON_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


class Memo(dict[K, V], Generic[K, V]):
    """Remembers a pure function's answers: most of a feed's words come again and again.

    Bounded; long texts are not kept. Raises what the function raises, which is not remembered.
    """

    def __init__(self, compute: Callable[[K], V]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, key: K) -> V:
        value = self._compute(key)
        if isinstance(key, (str, bytes)) and len(key) > _LONGEST_REMEMBERED:
            return value
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        self[key] = value
        return value


def read_color(text: Text) -> tuple[str | None, int | None]:
    """A color and its rank.

    >>> read_color("d")
    ('D', 1)
    """
    color = words.read_color(text)
    return color, None if color is None else COLOR_RANK[color]


def read_clarity(text: Text) -> tuple[str | None, int | None]:
    clarity = words.read_clarity(text)
    return clarity, None if clarity is None else CLARITY_RANK[clarity]


def read_fancy(fields: tuple[Text, Text, Text, Text]) -> tuple[str | None, str | None, str | None]:
    """A fancy color's hue, intensity and overtone; the first field is the color grade.

    Beside a white grade the words are noise, unless they name a hue.

    >>> read_fancy(("FANCY", "Yellow", "FANCY_LIGHT", None))
    ('YELLOW', 'FANCY LIGHT', None)
    >>> read_fancy(("D", None, "EVEN", "BROWN"))
    (None, None, None)
    """
    grade = words.read_color(fields[0])
    hue, intensity, overtone = (words.read_fancy(text) for text in fields[1:])
    if hue is None and grade != "FANCY":
        return None, None, None
    return hue, intensity, overtone


def read_carats(json_text: bytes) -> int | Rejected:
    """Hundredths of a carat, rounded half up once, from the number's own text.

    >>> read_carats(b"1.505"), read_carats(b"0")
    (151, Rejected(json_path='$.diamond.certificate.carats', reason='carats is 0 or less'))
    """
    text = json_text.strip(b'" ')
    if text in (b"", b"null"):
        return Rejected(_CARATS, "carats missing")
    if _JSON_NUMBER.fullmatch(text) is None:
        return Rejected(_CARATS, "carats is not a number")
    try:
        carats = Decimal(text.decode())
    except InvalidOperation:  # an exponent beyond all bounds
        return Rejected(_CARATS, "carats is not a number")
    if carats <= 0:
        return Rejected(_CARATS, "carats is 0 or less")
    if carats < 1000:
        hundredths = int(carats.quantize(Decimal("0.01"), ROUND_HALF_UP).scaleb(2))
        if hundredths == 0:
            return Rejected(_CARATS, "carats rounds to 0")
        if hundredths <= _MOST_CARATS_HUNDREDTHS:
            return hundredths
    return Rejected(_CARATS, "carats is 1000 or more")


def read_extent(name: str, text: Text) -> tuple[str, int | None]:
    """A measurement as a JSON member and in hundredths.

    >>> read_extent("length", "7.125000")
    ('"length":7.125,', 713)
    """
    number = words.read_extent(text)
    if number is None:
        return "", None
    return f'"{name}":{number},', words.to_hundredths(number)


def read_angle(name: str, text: Text) -> str:
    number = words.read_number(text)
    return "" if number is None else f'"{name}":{number},'


def read_member(name: str, text: Text) -> str:
    """A text as a JSON member.

    >>> read_member("girdle", "null"), read_member("girdle", "Thin")
    ('', '"girdle":"Thin",')
    """
    found = words.read_text(text)
    return "" if found is None else f'"{name}":{msgspec.json.encode(found).decode()},'


def read_rim(fields: tuple[Text, Text, Text, Text]) -> str:
    """Girdle, culet size, girdle condition and culet condition as JSON members."""
    names = ("girdle", "culetSize", "girdleCondition", "culetCondition")
    return "".join(map(read_member, names, fields))


def read_availability(text: Text) -> tuple[str, bool]:
    """What a shop may do with the stone, and whether the word for it is known."""
    availability, is_known = words.read_availability(text)
    return availability.value, is_known


def read_looks(fields: tuple[Text, Text, Text, Text, Text, Text, Text]) -> tuple[str, bool | None]:
    """What an eye sees: JSON members in the order of the names below, and whether it is eye clean."""
    names = ("eyeClean", "brown", "green", "blue", "gray", "milky", "bowtie")
    return "".join(map(read_member, names, fields)), words.read_eye_clean(fields[0])


def read_origin(fields: tuple[Text, Text, Text, Text, Text, bool | None]) -> tuple[str, bool]:
    """Where it comes from and how it was made: JSON members, and whether it says how it grew.

    The fields are mine, location, cut style, fluorescence color, growing method, express delivery.
    """
    *texts, glow, method, express = fields
    members = "".join(map(read_member, ("mineOfOrigin", "location", "cutStyle"), texts))
    members += read_member("fluorescenceColor", words.read_fluorescence_color(glow))
    members += read_member("labgrownType", method)
    if express is not None:
        members += f'"expressDelivery":{"true" if express else "false"},'
    return members, words.read_text(method) is not None


def read_delivery(
    fields: tuple[int | None, int | None, int | None],
) -> tuple[int | None, int | None, bool | None]:
    """Fewest and most business days, and whether it can be returned, from the days there are for that."""
    days_min, days_max, window = (words.read_days(days) for days in fields)
    return days_min, days_max, None if window is None else window > 0


SHAPES = Memo(words.read_shape)
AVAILABILITIES = Memo(read_availability)
LABS = Memo(words.read_lab)
CARATS = Memo(read_carats)
COLORS = Memo(read_color)
CLARITIES = Memo(read_clarity)
QUALITIES = Memo(words.read_quality)
FLUORESCENCES = Memo(words.read_fluorescence)
FANCIES = Memo(read_fancy)
# One key of all thirteen fields was new for nearly every second stone; the two halves hardly ever are.
LOOKS = Memo(read_looks)
ORIGINS = Memo(read_origin)
DELIVERIES = Memo(read_delivery)
RIMS = Memo(read_rim)
LENGTHS, WIDTHS, DEPTHS, DEPTH_PERCENTS, TABLES = (
    Memo(partial(read_extent, name)) for name in ("length", "width", "depth", "depthPercentage", "table")
)
CROWN_ANGLES, CROWN_HEIGHTS, PAV_ANGLES, PAV_HEIGHTS, PAV_DEPTHS = (
    Memo(partial(read_angle, name))
    for name in ("crownAngle", "crownHeight", "pavAngle", "pavHeight", "pavDepth")
)
KEYS_TO_SYMBOLS = Memo(partial(read_member, "keyToSymbols"))
COMMENTS = Memo(partial(read_member, "comments"))
