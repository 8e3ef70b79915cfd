"""Prices and weights drawn from the supplier's counts by price band (density.json).

Natural stones: the price has the measured distribution over ``dollar_value`` bands exactly, uniform to the
cent inside a band, so that prices between two whole-dollar bands exist as they do in reality. Price per
carat follows its own measured bands; the two are coupled by rank (correlation ``_COUPLING``, an invention)
and the weight is their quotient.

Lab-grown stones: only three statements about price per carat exist. ``_LAB_BANDS`` is one curve that
honours them: 85 % below 250 dollars, 36,413 of 902,000 between 180 and 209, little below 50 and between 230
and 250. Their weights are invented.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

_DENSITY_FILE = Path(__file__).with_name("density.json")

_COUPLING = 0.85
_MIN_CARATS_HUNDREDTHS, _MAX_CARATS_HUNDREDTHS = 30, 2000

#: The cheapest stone the first band may hold; the counts say nothing below 500 dollars.
_LEAST_DOLLARS = 25

#: [from, to) in dollars a carat and the share of stones in it.
_LAB_BANDS = (
    (18, 50, 0.030),
    (50, 100, 0.280),
    (100, 150, 0.290),
    (150, 180, 0.1866),
    (180, 210, 0.0404),
    (210, 230, 0.020),
    (230, 250, 0.003),
    (250, 400, 0.090),
    (400, 650, 0.056),
    (650, 2_000, 0.004),
)

#: Carats at which lab-grown stones cluster, with their weights and spreads: invented.
_LAB_CARATS = (
    (0.55, 0.12, 0.10),
    (1.02, 0.30, 0.12),
    (1.52, 0.22, 0.12),
    (2.03, 0.20, 0.15),
    (3.05, 0.11, 0.3),
    (4.6, 0.05, 1.2),
)

Cents = npt.NDArray[np.int32]
Hundredths = npt.NDArray[np.uint16]


def lab_grown_share() -> float:
    return float(_density()["implied_share"]["lab_grown"])


def draw_natural(rng: np.random.Generator, count: int) -> tuple[Cents, Hundredths]:
    """Prices in cents and weights in hundredths of a carat of ``count`` natural stones."""
    natural = _density()["natural"]
    z = rng.standard_normal(count)
    noise = rng.standard_normal(count)
    dollars = _quantiles(natural["dollar_value"]["bands"], _normal_cdf(z))
    per_carat = _quantiles(
        natural["dollar_per_carat"]["bands"], _normal_cdf(_COUPLING * z + np.sqrt(1 - _COUPLING**2) * noise)
    )
    cents = np.floor(np.maximum(dollars, _LEAST_DOLLARS) * 100).astype(np.int32)
    carats = np.rint(dollars / np.maximum(per_carat, 1) * 100)
    return cents, np.clip(carats, _MIN_CARATS_HUNDREDTHS, _MAX_CARATS_HUNDREDTHS).astype(np.uint16)


def draw_lab_grown(rng: np.random.Generator, count: int) -> tuple[Cents, Hundredths]:
    """The same for lab-grown stones."""
    carats = _lab_carats(rng, count)
    per_carat = _quantiles([(low, high - 1, share) for low, high, share in _LAB_BANDS], rng.random(count))
    cents = np.rint(per_carat * carats).astype(np.int32)
    return np.maximum(cents, 100), carats


def _lab_carats(rng: np.random.Generator, count: int) -> Hundredths:
    weights = np.array([weight for _, weight, _ in _LAB_CARATS])
    which = np.searchsorted(np.cumsum(weights / weights.sum()), rng.random(count))
    centres = np.array([centre for centre, _, _ in _LAB_CARATS])[which]
    spreads = np.array([spread for _, _, spread in _LAB_CARATS])[which]
    carats = np.rint((centres + rng.exponential(1.0, count) * spreads) * 100)
    clipped: Hundredths = np.clip(carats, _MIN_CARATS_HUNDREDTHS, _MAX_CARATS_HUNDREDTHS).astype(np.uint16)
    return clipped


def _quantiles(bands: Sequence[Sequence[float]], u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Dollars at the quantiles ``u`` of ``[from, to, weight]`` bands; each band ends below to + 1."""
    edges = np.array([bands[0][0], *(band[1] + 1 for band in bands)], dtype=np.float64)
    shares = np.cumsum([0.0, *(band[2] for band in bands)])
    dollars: npt.NDArray[np.float64] = np.interp(u, shares / shares[-1], edges)
    return dollars


def _normal_cdf(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The standard normal distribution function by table: far finer than any band is wide."""
    grid = _cdf_table()
    values: npt.NDArray[np.float64] = np.interp(z, grid[0], grid[1])
    return values


@cache
def _cdf_table() -> npt.NDArray[np.float64]:
    points = np.linspace(-6, 6, 12_001)
    return np.array([points, [NormalDist().cdf(point) for point in points]])


@cache
def _density() -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(_DENSITY_FILE.read_bytes())
    return loaded
