"""The field's grades, each in one spelling and one order from best to worst."""

from collections.abc import Sequence
from enum import StrEnum


class Availability(StrEnum):
    """What a shop may do with a stone."""

    AVAILABLE = "available"
    ON_HOLD = "on_hold"
    SOLD = "sold"
    UNAVAILABLE = "unavailable"


#: White colours from D down; the supplier's ranges such as ``OP`` stand between their letters.
COLORS: Sequence[str] = (
    "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "NO", "O", "OP", "P", "PR", "Q", "QR", "R",
    "S", "ST", "SZ", "T", "U", "UV", "V", "W", "WX", "X", "XY", "Y", "YZ", "Z", "FANCY",
)  # fmt: skip

CLARITIES: Sequence[str] = ("FL", "IF", "VVS1", "VVS2", "VS1", "VS2", "SI1", "SI2", "SI3", "I1", "I2", "I3")

#: Cut, polish and symmetry.
QUALITIES: Sequence[str] = ("EIGHTX", "ID", "EX", "VG", "G", "F", "P")

FLUORESCENCES: Sequence[str] = ("NON", "VSL", "FNT", "SLT", "MED", "STG", "VST")

COLOR_RANK = {color: rank for rank, color in enumerate(COLORS, start=1)}
CLARITY_RANK = {clarity: rank for rank, clarity in enumerate(CLARITIES, start=1)}
