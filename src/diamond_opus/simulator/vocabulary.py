"""The words a simulated stone may use and how often: real spellings, invented frequencies.

The supplier publishes no counts by shape, colour, clarity, laboratory or any attribute. Every weight in
this file is made up to look plausible; only the spellings (four cushions, two kinds of "strong", a girdle
called "null") were seen.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson

#: A column code that stands for "no value".
NULL = 255


@dataclass(frozen=True, slots=True)
class Words:
    """A closed list of words; stones store the position. ``json`` has one more entry than words: null, at
    NULL.
    """

    values: tuple[str | None, ...]
    weights: npt.NDArray[np.float64]
    json: tuple[str, ...]

    def code(self, word: str) -> int:
        return self.values.index(word)

    def codes(self, words: Iterable[str | None]) -> list[int]:
        """The positions of those words that exist; an unknown word simply matches no stone."""
        wanted = set(words)
        return [code for code, value in enumerate(self.values) if value is not None and value in wanted]

    def draw(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.uint8]:
        drawn = np.searchsorted(np.cumsum(self.weights), rng.random(count), side="right")
        return np.minimum(drawn, len(self.values) - 1).astype(np.uint8)

    def text(self, code: int) -> str | None:
        return None if code == NULL else self.values[code]


def _words(*pairs: tuple[str | None, float]) -> Words:
    weights = np.array([weight for _, weight in pairs], dtype=np.float64)
    fragments = [orjson.dumps(value).decode() for value, _ in pairs]
    padded = fragments + ["null"] * (NULL + 1 - len(fragments))
    return Words(tuple(value for value, _ in pairs), weights / weights.sum(), tuple(padded))


def _evenly(values: Sequence[str], weight: float) -> list[tuple[str | None, float]]:
    return [(value, weight) for value in values]


_RARE_SHAPES = (
    "OCTAGONAL", "ROUND MODIFIED BRILLIANT", "OTHER", "PENTAGONAL", "RECTANGULAR", "BRIOLETTE",
    "PEAR MODIFIED BRILLIANT", "OLD EUROPEAN", "SQUARE", "KITE", "EUROPEAN", "BULLET", "RECTANGLE",
    "TRAPEZOID", "HALFMOON", "SHIELD", "OVAL MIXED CUT", "TRAPEZE", "BAGUETTE", "FAN", "TETRAGONAL",
    "TAPERED BAGUETTE", "SQUARE EMERALD", "ASCHER", "HALF MOON", "PRAD", "LOZENGE", "HEPTAGONAL",
    "SQUARE RADIANT", "FLANDERS", "NONAGONAL", "EUROPEAN CUT", "TRIANGULAR",
)  # fmt: skip

SHAPES = _words(
    ("ROUND", 0.30), ("OVAL", 0.14), ("EMERALD", 0.09), ("PEAR", 0.09), ("RADIANT", 0.07), ("PRINCESS", 0.05),
    ("MARQUISE", 0.05), ("CUSHION", 0.04), ("CUSHION MODIFIED", 0.04), ("CUSHION BRILLIANT", 0.03),
    ("CUSHION B", 0.01), ("ASSCHER", 0.03), ("HEART", 0.03), ("ROSE", 0.003), ("OLD MINER", 0.004),
    ("TRILLIANT", 0.004), ("HEXAGONAL", 0.003), *_evenly(_RARE_SHAPES, 0.0004),
)  # fmt: skip

#: Length over width of each shape, where it is not about 1.
SHAPE_RATIOS = {
    "OVAL": 1.40, "EMERALD": 1.42, "PEAR": 1.55, "RADIANT": 1.25, "MARQUISE": 1.95, "BAGUETTE": 2.1,
    "TAPERED BAGUETTE": 2.3, "KITE": 1.6, "SHIELD": 1.1, "RECTANGLE": 1.5, "RECTANGULAR": 1.5,
    "OVAL MIXED CUT": 1.4,
}  # fmt: skip

COLORS = _words(
    ("D", 0.16), ("E", 0.19), ("F", 0.17), ("G", 0.14), ("H", 0.10), ("I", 0.07), ("J", 0.045), ("K", 0.03),
    ("L", 0.015), ("M", 0.01), ("N", 0.006), ("NO", 0.001), ("O", 0.003), ("OP", 0.001), ("PR", 0.0005),
    ("P", 0.001), ("Q", 0.0008), ("QR", 0.0005), ("R", 0.0006), ("S", 0.0005), ("SZ", 0.0003), ("ST", 0.0003),
    ("T", 0.0003), ("U", 0.0003), ("UV", 0.0003), ("V", 0.0002), ("W", 0.0003), ("WX", 0.0002), ("X", 0.0002),
    ("XY", 0.0001), ("Y", 0.0001), ("YZ", 0.0002), ("Z", 0.0001), ("FANCY", 0.045),
)  # fmt: skip

CLARITIES = _words(
    ("FL", 0.006), ("IF", 0.035), ("VVS1", 0.08), ("VVS2", 0.14), ("VS1", 0.25), ("VS2", 0.22), ("SI1", 0.14),
    ("SI2", 0.08), ("SI3", 0.004), ("I1", 0.03), ("I2", 0.01), ("I3", 0.005),
)  # fmt: skip

#: Worst first, as the schema lists them.
QUALITIES = _words(
    ("PR", 0.001), ("P", 0.001), ("FR", 0.003), ("F", 0.007), ("GD", 0.03), ("G", 0.05), ("VG", 0.238),
    ("EX", 0.62), ("ID", 0.045), ("EIGHTX", 0.005),
)  # fmt: skip

FLUORESCENCES = _words(
    ("NON", 0.70), ("VSL", 0.02), ("SLT", 0.03), ("FNT", 0.14), ("MED", 0.06), ("STG", 0.03), ("STN", 0.01),
    ("VST", 0.01),
)  # fmt: skip

FLUORESCENCE_COLORS = _words(
    (None, 0.8), ("B", 0.06), ("BLUE", 0.08), ("Blue", 0.04), ("Yellow", 0.01), ("WHITE", 0.01)
)  # fmt: skip

NATURAL_LABS = _words(
    ("GIA", 0.80), ("IGI", 0.10), ("HRD", 0.03), ("GCAL", 0.004), ("EGL", 0.005),
    ("AGS", 0.004), ("SGL", 0.003), ("GSI", 0.01), ("OTHER", 0.004), ("NONE", 0.02), ("IIDGR", 0.002),
    ("CDC", 0.001), ("LAB", 0.001),
)  # fmt: skip

AVAILABILITIES = _words(
    ("AVAILABLE", 0.925), ("HOLD", 0.025), ("MEMO", 0.02), ("CONSIGNMENT", 0.005), ("SOLD", 0.01),
    ("NOT_AVAILABLE", 0.005), ("ON_HOLD", 0.004), ("ON_MEMO", 0.004), ("SOLD_OUT", 0.002),
)  # fmt: skip

LABGROWN_TYPES = _words(("CVD", 0.85), ("HPHT", 0.14), ("IIA", 0.01))

FANCY_COLORS = _words(
    ("YELLOW", 0.4), ("PINK", 0.15), ("BLUE", 0.1), ("BROWN", 0.08), ("ORANGE BROWN", 0.04),
    ("BROWN ORANGE", 0.04), ("ORANGY BROWN", 0.03), ("GREY", 0.04), ("GREEN", 0.04), ("EVEN", 0.02),
    ("U-V", 0.02), ("Yellowish Green", 0.02), (None, 0.02),
)  # fmt: skip

FANCY_INTENSITIES = _words(
    ("FANCY", 0.2), ("FANCY LIGHT", 0.15), ("FANCY_INTENSE", 0.15), ("FANCY INTENSE", 0.1),
    ("FANCY-VIVID", 0.1), ("FANCY VIVID", 0.1), ("FANCY DEEP", 0.08), ("LIGHT", 0.05), ("VERY_LIGHT", 0.04),
    ("FAINT", 0.03),
)  # fmt: skip

FANCY_OVERTONES = _words((None, 0.6), ("BROWNISH", 0.12), ("ORANGY", 0.1), ("GREENISH", 0.08), ("None", 0.1))

EYE_CLEANS = _words(
    (None, 0.45), ("Yes", 0.25), ("100%", 0.18), ("90%", 0.05), ("80%", 0.03), ("Borderline", 0.02),
    ("No", 0.02),
)  # fmt: skip

#: Brown, green, blue, gray tinges and milkiness; the position is the filter's code, an invention.
TINGES = _words(
    ("No", 0.58), ("Faint", 0.02), ("Light", 0.01), ("Medium", 0.005), ("Heavy", 0.005), (None, 0.38)
)  # fmt: skip

GIRDLES = _words(
    (None, 0.2), ("null", 0.08), ("Medium", 0.12), ("Thin", 0.05), ("MED to STK", 0.1),
    ("STK-THK", 0.08), ("Medium - Very Thick", 0.05), ("TN - TK", 0.06), ("Slightly Thick", 0.12),
    ("Thick - Extremely Thick", 0.08), ("Very Thin", 0.02), ("Extremely Thin", 0.01),
    ("Medium to Slightly Thick (Faceted)", 0.03),
)  # fmt: skip

#: Which of the filter's girdle codes each spelling in GIRDLES answers to.
GIRDLE_CODES: dict[str, frozenset[str]] = {
    "Medium": frozenset({"MED"}),
    "Thin": frozenset({"THN"}),
    "MED to STK": frozenset({"MED", "STK"}),
    "STK-THK": frozenset({"STK", "THK"}),
    "Medium - Very Thick": frozenset({"MED", "STK", "THK", "VTK"}),
    "TN - TK": frozenset({"THN", "STN", "MED", "STK", "THK"}),
    "Slightly Thick": frozenset({"STK"}),
    "Thick - Extremely Thick": frozenset({"THK", "VTK", "ETK"}),
    "Very Thin": frozenset({"VTN"}),
    "Extremely Thin": frozenset({"ETN"}),
    "Medium to Slightly Thick (Faceted)": frozenset({"MED", "STK"}),
}

CULETS = _words(
    ("NON", 0.6), ("NONE", 0.1), ("", 0.05), (None, 0.15), ("VSM", 0.05), ("SML", 0.03), ("MED", 0.02)
)

MINES = _words(
    (None, 0.85),
    ("BOTSWANA", 0.04),
    ("CANADA", 0.03),
    ("RUSSIA", 0.02),
    ("SOUTH_AFRICA", 0.02),
    ("MIXED", 0.04),
)

LOCATIONS = _words(
    ("IN", 0.5), ("US", 0.2), ("HK", 0.12), ("BE", 0.08), ("GB", 0.05), ("IL", 0.04), ("AE", 0.01)
)

KEYS_TO_SYMBOLS = _words(
    (None, 0.35), ("", 0.05), ("Pinpoint", 0.15), ("Feather", 0.12), ("Crystal, Feather", 0.1),
    ("Cloud, Pinpoint, Feather", 0.08), ("Crystal, Cloud, Indented Natural", 0.08), ("Growth Remnant", 0.07),
)  # fmt: skip

#: The days within which a stone may be returned; None where it may not.
RETURN_WINDOWS: tuple[int | None, ...] = (None, 7, 14, 30)
RETURN_WEIGHTS = (0.7, 0.1, 0.1, 0.1)

#: (express, earliest, latest) business days.
DELIVERY_TIMES: tuple[tuple[bool, int, int], ...] = (
    (True, 1, 3), (True, 2, 4), (False, 5, 8), (False, 7, 12), (False, 10, 15),
)  # fmt: skip
DELIVERY_WEIGHTS = (0.1, 0.15, 0.4, 0.25, 0.1)

COMMENTS = (
    None, None, None, "Additional clouds are not shown.",
    "As Grown - No indication of post-growth treatment. Type IIa",
    "Pinpoints are not shown. Surface graining is not shown.",
    "This Laboratory Grown Diamond was created by Chemical Vapor Deposition (CVD) growth process. Type IIa",
)  # fmt: skip

SUPPLIER_COUNT = 400
