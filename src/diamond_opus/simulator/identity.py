"""Names that look random and can be read back: ids and certificate numbers cost no memory and no index.

A stone's UUID carries its row number encrypted by the seed; its certificate number is an affine map of the row.
Whoever holds such a name can find the row by arithmetic, so a million stones need no dictionary of them.
"""

import re

import numpy as np
import numpy.typing as npt

Words64 = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_LOW_62 = np.uint64((1 << 62) - 1)
_VARIANT = np.uint64(0b10 << 62)

#: Certificate numbers are counted modulo this; the multiplier has no divisor in common with it.
_MODULUS = 899_999_963
_MULTIPLIER = 387_420_489
_INVERSE = pow(_MULTIPLIER, -1, _MODULUS)
_LEAST_NUMBER = 100_000_000

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def mix(words: Words64) -> Words64:
    """splitmix64's finaliser: every bit of the input changes about half of the output's."""
    z = words * _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


class Identities:
    """The naming of one seed's stones."""

    def __init__(self, seed: int) -> None:
        self._key = mix(np.array([seed % (1 << 63)], dtype=np.uint64))[0]
        self._offset = int(self._key) % _MODULUS
        self._purposes: dict[int, Words64] = {}

    def salts(self, rows: npt.NDArray[np.int64], purpose: int) -> Words64:
        """64 random-looking bits for each row, other ones for each purpose."""
        key = self._purposes.get(purpose)
        if key is None:
            key = self._purposes[purpose] = mix(self._key ^ np.array([purpose], dtype=np.uint64))
        return mix(rows.astype(np.uint64) ^ key)

    def stone_ids(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """The UUID (version 4) of each row."""
        high = self._high(rows)
        low = ((rows.astype(np.uint64) + mix(high)) & _LOW_62) | _VARIANT
        return _uuid_texts(high, low)

    def derived_ids(self, rows: npt.NDArray[np.int64], purpose: int) -> list[str]:
        """UUIDs (version 5) of what belongs to a stone: its certificate, an image."""
        high = (self.salts(rows, purpose) & ~np.uint64(0xF000)) | np.uint64(0x5000)
        low = (self.salts(rows, purpose + 1) & _LOW_62) | _VARIANT
        return _uuid_texts(high, low)

    def row_of(self, stone_id: str, rows: int) -> int | None:
        """The row below ``rows`` that a bare UUID names, if it names one of ours."""
        if not _UUID.fullmatch(stone_id):
            return None
        digits = stone_id.replace("-", "")
        high = np.array([int(digits[:16], 16)], dtype=np.uint64)
        low = np.array([int(digits[16:], 16)], dtype=np.uint64)
        row = int(((low & _LOW_62) - mix(high))[0] & _LOW_62)
        if row >= rows or self._high(np.array([row]))[0] != high[0]:
            return None
        return row

    def certificate_serial(self, row: int) -> int:
        """Nine digits, different for every row."""
        return _LEAST_NUMBER + (row * _MULTIPLIER + self._offset) % _MODULUS

    def row_of_serial(self, serial: int, rows: int) -> int | None:
        row = (serial - _LEAST_NUMBER - self._offset) * _INVERSE % _MODULUS
        return row if row < rows else None

    def _high(self, rows: npt.NDArray[np.int64]) -> Words64:
        return (mix(rows.astype(np.uint64) ^ self._key) & ~np.uint64(0xF000)) | np.uint64(0x4000)


def _uuid_texts(high: Words64, low: Words64) -> list[str]:
    digits = np.stack([high, low], axis=1).astype(">u8").tobytes().hex()
    return [
        f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-{digits[at + 12 : at + 16]}-"
        f"{digits[at + 16 : at + 20]}-{digits[at + 20 : at + 32]}"
        for at in range(0, len(digits), 32)
    ]
