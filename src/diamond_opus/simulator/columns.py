"""The stones as columns: about 100 bytes a stone, whatever its payload weighs."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
Small = npt.NDArray[np.uint16]

#: Column type by annotation; a column is declared once, below.
_DTYPES: dict[Any, type[np.generic]] = {
    Codes: np.uint8,
    Flags: np.bool_,
    Small: np.uint16,
    npt.NDArray[np.int16]: np.int16,
    npt.NDArray[np.int32]: np.int32,
    npt.NDArray[np.int64]: np.int64,
}


@dataclass(slots=True)
class Columns:
    """One array a column, row ``i`` of each is stone ``i``. Codes are positions in vocabulary.py; 255 is
    null.

    Units are in the names: ``_h`` hundredths, ``_t`` tenths, ``_cents``, ``_ms`` epoch milliseconds.
    A measurement of 0 is unknown.
    """

    lab_grown: Flags
    price_cents: npt.NDArray[np.int32]
    carats_h: Small
    discount: npt.NDArray[np.int16]
    created_ms: npt.NDArray[np.int64]
    updated_ms: npt.NDArray[np.int64]
    shape: Codes
    color: Codes
    clarity: Codes
    cut: Codes
    polish: Codes
    symmetry: Codes
    fluorescence: Codes
    fluorescence_color: Codes
    lab: Codes
    availability: Codes
    labgrown_type: Codes
    fancy_color: Codes
    fancy_intensity: Codes
    fancy_overtone: Codes
    eye_clean: Codes
    brown: Codes
    green: Codes
    blue: Codes
    gray: Codes
    milky: Codes
    girdle: Codes
    culet: Codes
    mine: Codes
    location: Codes
    key_to_symbols: Codes
    comment: Codes
    returns: Codes
    delivery: Codes
    measure_style: Codes
    supplier: Small
    treated: Flags
    has_image: Flags
    has_video: Flags
    has_pdf: Flags
    length_h: Small
    width_h: Small
    depth_h: Small
    table_t: Small
    depth_percent_t: Small
    crown_angle_t: Small
    pavilion_angle_t: Small
    pavilion_depth_t: Small
    star_length: Codes
    lower_half: Codes
    hostile: Codes
    present: Flags
    first_event: npt.NDArray[np.int32]
    last_event: npt.NDArray[np.int32]

    @classmethod
    def allocate(cls, capacity: int) -> Self:
        return cls(**{field.name: np.zeros(capacity, _DTYPES[field.type]) for field in fields(cls)})

    @property
    def capacity(self) -> int:
        return len(self.price_cents)

    def write(self, start: int, block: "Columns") -> None:
        """Copy all of ``block`` to the rows from ``start`` on."""
        for field in fields(self):
            source = getattr(block, field.name)
            getattr(self, field.name)[start : start + len(source)] = source

    def copy_row(self, source: int, target: int, names: tuple[str, ...]) -> None:
        for name in names:
            column = getattr(self, name)
            column[target] = column[source]

    def grow(self, capacity: int) -> None:
        """Make room for ``capacity`` rows. The arrays move: nobody may keep one across this call."""
        for field in fields(self):
            old = getattr(self, field.name)
            new = np.zeros(capacity, old.dtype)
            new[: len(old)] = old
            setattr(self, field.name, new)
