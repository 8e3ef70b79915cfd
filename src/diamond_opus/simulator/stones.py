"""Invents stones: the same seed and number give the same stones, byte for byte.

Prices and price per carat follow the supplier's counts (density.py). Everything else (shapes, colours,
laboratories, measurements, suppliers, upload times, the correlations between them) is plausible invention.

Stones are made in blocks of ``BLOCK``, each from its own random stream, so block 7 is the same whatever
comes after. Stones of one bulk upload (50 to 2000 of them) are neighbours, of one supplier, and share
``created_ms`` to the millisecond.
"""

import numpy as np
import numpy.typing as npt

from diamond_opus.simulator import density
from diamond_opus.simulator import vocabulary as words
from diamond_opus.simulator.columns import Codes, Columns, Small
from diamond_opus.simulator.hostile import mark_hostile

BLOCK = 16_384

#: The uploads of the first stones lie between these moments (2023-01-01 and 2026-01-01, UTC).
_FIRST_MS, _LAST_MS = 1_672_531_200_000, 1_767_225_600_000

_ROUND = words.SHAPES.code("ROUND")
_FANCY = words.COLORS.code("FANCY")
_NONE_LAB = words.NATURAL_LABS.code("NONE")
_IGI = words.NATURAL_LABS.code("IGI")
_GIA = words.NATURAL_LABS.code("GIA")
_NULL_GIRDLE = words.GIRDLES.code("null")

#: How measurements are written: "7.12", "7.120000", or "0" for unknown.
PLAIN, SIX_DECIMALS, UNKNOWN = 0, 1, 2


def make_block(
    seed: int, number: int, *, total: int, hostile_share: float, hostile_options: frozenset[str]
) -> Columns:
    """Block ``number`` of ``BLOCK`` stones, all of them present; ``total`` spreads the uploads over the
    years.
    """
    rng = np.random.default_rng([seed % (1 << 63), number])
    block = Columns.allocate(BLOCK)
    _draw_money(block, rng)
    _draw_grades(block, rng)
    _draw_measures(block, rng)
    _draw_offer(block, rng)
    _draw_uploads(block, rng, number, total)
    block.present[:] = True
    block.last_event[:] = -1
    hostile_rng = np.random.default_rng([seed % (1 << 63), number, 1])
    mark_hostile(block, hostile_rng, share=hostile_share, options=hostile_options)
    return block


def _draw_money(block: Columns, rng: np.random.Generator) -> None:
    lab_grown = rng.random(BLOCK) < density.lab_grown_share()
    natural_cents, natural_carats = density.draw_natural(rng, BLOCK)
    lab_cents, lab_carats = density.draw_lab_grown(rng, BLOCK)
    block.lab_grown[:] = lab_grown
    block.price_cents[:] = np.where(lab_grown, lab_cents, natural_cents)
    block.carats_h[:] = np.where(lab_grown, lab_carats, natural_carats)
    block.discount[:] = np.clip(rng.normal(-4200, 1500, BLOCK), -9900, 900).astype(np.int16)


def _draw_grades(block: Columns, rng: np.random.Generator) -> None:
    lab_grown = block.lab_grown
    block.shape[:] = words.SHAPES.draw(rng, BLOCK)
    block.color[:] = words.COLORS.draw(rng, BLOCK)
    block.clarity[:] = words.CLARITIES.draw(rng, BLOCK)
    cut_null = (block.shape != _ROUND) & (rng.random(BLOCK) < 0.85)
    block.cut[:] = np.where(cut_null, words.NULL, words.QUALITIES.draw(rng, BLOCK))
    block.polish[:] = words.QUALITIES.draw(rng, BLOCK)
    block.symmetry[:] = words.QUALITIES.draw(rng, BLOCK)
    block.fluorescence[:] = words.FLUORESCENCES.draw(rng, BLOCK)
    block.fluorescence_color[:] = words.FLUORESCENCE_COLORS.draw(rng, BLOCK)
    lab_lab = np.where(rng.random(BLOCK) < 0.82, _IGI, _GIA)
    block.lab[:] = np.where(lab_grown, lab_lab, words.NATURAL_LABS.draw(rng, BLOCK))
    block.labgrown_type[:] = np.where(lab_grown, words.LABGROWN_TYPES.draw(rng, BLOCK), words.NULL)
    block.treated[:] = lab_grown & (rng.random(BLOCK) < 0.15)
    fancy = block.color == _FANCY
    for column, vocabulary in (
        (block.fancy_color, words.FANCY_COLORS),
        (block.fancy_intensity, words.FANCY_INTENSITIES),
        (block.fancy_overtone, words.FANCY_OVERTONES),
    ):
        column[:] = np.where(fancy, vocabulary.draw(rng, BLOCK), words.NULL)
    _draw_remarks(block, rng)


def _draw_remarks(block: Columns, rng: np.random.Generator) -> None:
    for column, vocabulary in (
        (block.eye_clean, words.EYE_CLEANS),
        (block.brown, words.TINGES),
        (block.green, words.TINGES),
        (block.blue, words.TINGES),
        (block.gray, words.TINGES),
        (block.milky, words.TINGES),
        (block.girdle, words.GIRDLES),
        (block.culet, words.CULETS),
        (block.mine, words.MINES),
        (block.key_to_symbols, words.KEYS_TO_SYMBOLS),
    ):
        column[:] = vocabulary.draw(rng, BLOCK)
    block.comment[:] = rng.integers(len(words.COMMENTS), size=BLOCK)


def _draw_measures(block: Columns, rng: np.random.Generator) -> None:
    """Proportions that fit the weight: a round stone of 1 ct measures about 6.5 mm."""
    ratios = np.array([words.SHAPE_RATIOS.get(shape or "", 1.0) for shape in words.SHAPES.values])[
        block.shape
    ]
    ratios = ratios * rng.normal(1.0, 0.03, BLOCK)
    breadth = 6.45 * np.cbrt(block.carats_h / 100) / np.sqrt(np.maximum(ratios, 0.5))
    depth_percent = np.clip(rng.normal(62.5, 2.5, BLOCK), 50, 78)
    block.length_h[:] = _scaled(breadth * ratios, 100)
    block.width_h[:] = _scaled(breadth, 100)
    block.depth_h[:] = _scaled(breadth * depth_percent / 100, 100)
    block.depth_percent_t[:] = _scaled(depth_percent, 10)
    block.table_t[:] = _scaled(np.clip(rng.normal(58.5, 3, BLOCK), 48, 75), 10)
    has_angles = block.shape == _ROUND
    block.crown_angle_t[:] = np.where(has_angles, _scaled(rng.normal(34.6, 0.8, BLOCK), 10), 0)
    block.pavilion_angle_t[:] = np.where(has_angles, _scaled(rng.normal(40.9, 0.3, BLOCK), 10), 0)
    block.pavilion_depth_t[:] = np.where(has_angles, _scaled(rng.normal(43.1, 0.5, BLOCK), 10), 0)
    block.star_length[:] = np.where(has_angles, rng.integers(8, 13, BLOCK) * 5, 0)
    block.lower_half[:] = np.where(has_angles, rng.integers(14, 18, BLOCK) * 5, 0)
    unknown = (block.lab == _NONE_LAB) | (rng.random(BLOCK) < 0.01)
    long = rng.random(BLOCK) < 0.35
    block.measure_style[:] = np.where(unknown, UNKNOWN, np.where(long, SIX_DECIMALS, PLAIN))
    for column in (block.length_h, block.width_h, block.depth_h, block.depth_percent_t, block.table_t):
        column[unknown] = 0
    block.girdle[block.lab == _NONE_LAB] = _NULL_GIRDLE


def _draw_offer(block: Columns, rng: np.random.Generator) -> None:
    block.availability[:] = words.AVAILABILITIES.draw(rng, BLOCK)
    block.has_image[:] = rng.random(BLOCK) < 0.55
    block.has_video[:] = rng.random(BLOCK) < 0.80
    block.has_pdf[:] = (block.lab != _NONE_LAB) & (rng.random(BLOCK) < 0.9)
    block.location[:] = words.LOCATIONS.draw(rng, BLOCK)
    block.returns[:] = _weighted(rng, words.RETURN_WEIGHTS)
    block.delivery[:] = _weighted(rng, words.DELIVERY_WEIGHTS)


def _draw_uploads(block: Columns, rng: np.random.Generator, number: int, total: int) -> None:
    """Cut the block into uploads; half of them are bulk: nearly every stone shares its moment with others."""
    sizes: list[int] = []
    while sum(sizes) < BLOCK:
        bulk = rng.random() < 0.5
        sizes.append(int(np.exp(rng.uniform(np.log(50), np.log(2000)))) if bulk else int(rng.integers(1, 12)))
    upload = np.repeat(np.arange(len(sizes)), sizes)[:BLOCK]
    first_rows = number * BLOCK + np.cumsum([0, *sizes[:-1]])
    moments = _FIRST_MS + (_LAST_MS - _FIRST_MS) * np.minimum(first_rows / max(1, total), 1)
    block.created_ms[:] = moments[upload].astype(np.int64)
    block.updated_ms[:] = block.created_ms
    block.supplier[:] = rng.integers(words.SUPPLIER_COUNT, size=len(sizes))[upload]


def _scaled(values: npt.NDArray[np.float64], scale: int) -> Small:
    return np.clip(np.rint(values * scale), 0, 65_535).astype(np.uint16)


def _weighted(rng: np.random.Generator, weights: tuple[float, ...]) -> Codes:
    drawn = np.searchsorted(np.cumsum(weights), rng.random(BLOCK))
    return np.minimum(drawn, len(weights) - 1).astype(np.uint8)
