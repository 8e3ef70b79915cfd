"""How a stored payload becomes a stone: decoded by type, its words remembered, and repaired where it is odd.

The quick path takes an item whose fields all are as they should be. Anything else goes through ``repair`` and
then the same assembly, so that both paths give one result.
"""

from typing import Any

import msgspec

from diamond_opus.domain.errors import Skippable, Warned
from diamond_opus.domain.money import is_ten_times_off
from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.nivoda import words
from diamond_opus.feeds.nivoda.answers import identify
from diamond_opus.feeds.nivoda.items import Delivery, Item, Supplier
from diamond_opus.feeds.nivoda.readings import (
    AVAILABILITIES,
    CARATS,
    CLARITIES,
    COLORS,
    COMMENTS,
    CROWN_ANGLES,
    CROWN_HEIGHTS,
    DELIVERIES,
    DEPTH_PERCENTS,
    DEPTHS,
    FANCIES,
    FLUORESCENCES,
    KEYS_TO_SYMBOLS,
    LABS,
    LENGTHS,
    LOOKS,
    ORIGINS,
    PAV_ANGLES,
    PAV_DEPTHS,
    PAV_HEIGHTS,
    QUALITIES,
    RIMS,
    SHAPES,
    TABLES,
    WIDTHS,
)
from diamond_opus.feeds.nivoda.repair import repair
from diamond_opus.feeds.protocol import RawStone, Rejected, Unreadable

#: The dearest price taken: at the highest markup (9.9999) and the smallest weight (0.01 ct) every figure that
#: follows from it still fits NUMERIC(12,2).
MAX_PRICE_CENTS = 999_999_999

_LONGEST_SHAPE = 100  # searched by index, which has room for so much
_BACKSLASH = ord("\\")
_WEB = ("https://", "http://")
_NO_DELIVERY = Delivery()
_NO_SUPPLIER = Supplier()

_decode = msgspec.json.Decoder(Item).decode
_encode = msgspec.json.encode


class NivodaMapper:
    """``StoneMapper`` for Nivoda's items. It keeps no state of its own and may be shared."""

    def map_stone(self, raw: RawStone, warnings: list[Warned]) -> Stone | Rejected:
        """A stone, or why not; a stone's odd single fields become null and are appended to ``warnings``."""
        payload = raw.payload
        try:
            # An escaped NUL decodes well, but no database stores it.
            if _BACKSLASH not in payload or b"\\u0000" not in payload:
                return _assemble(_decode(payload), raw, warnings)
        except (ValueError, RecursionError):
            pass  # something is odd: repair finds out what and says so
        told: list[Warned] = []
        repaired = repair(payload, told)
        result = repaired if isinstance(repaired, Rejected) else _assemble(repaired, raw, told)
        if isinstance(result, Stone):
            warnings += told
        return result


def map_item(item: bytes | dict[str, Any], asked_lab_grown: bool = False) -> Stone:
    """One item of the supplier, as JSON or as the dict of it, as a stone.

    ``asked_lab_grown`` is which type was asked for; it decides where the item itself does not say.
    Raises ``Skippable`` with the reason when the item cannot become a diamond.

    >>> certificate = {"lab": "GIA", "shape": "Round", "carats": 1.505, "color": "D", "clarity": "VS1"}
    >>> diamond = {"id": "7c1e", "availability": "AVAILABLE", "certificate": certificate}
    >>> stone = map_item({"id": "DIAMOND/7c1e", "price": 448324, "diamond": diamond})
    >>> stone.shape, stone.carats_hundredths, stone.feed_price_cents, stone.feed_availability
    ('ROUND', 151, 448324, 'available')
    """
    payload = item if isinstance(item, bytes) else _encode(item)
    row = identify(payload, "$")
    if isinstance(row, Unreadable):
        raise Skippable(f"nivoda: no diamond can be made of this item: {row.reason} at {row.json_path}")
    raw = RawStone(row.supplier_stone_id, row.offer_id, payload, asked_lab_grown, 0, None)
    stone = NivodaMapper().map_stone(raw, [])
    if isinstance(stone, Rejected):
        raise Skippable(
            f"nivoda: no diamond can be made of {row.offer_id}: {stone.reason} at {stone.json_path}"
        )
    return stone


def _assemble(item: Item, raw: RawStone, warnings: list[Warned]) -> Stone | Rejected:
    """Raises ``OddValueError`` before the first warning when a field needs repair."""
    stone_id, offer_id, _, asked_lab_grown, price_from, price_to = raw
    diamond = item.diamond
    certificate = diamond.certificate if diamond is not None else None
    price = item.price
    if (
        diamond is None
        or certificate is None
        or price is None
        or item.id != offer_id
        or diamond.id != stone_id
        or not item.id
        or not diamond.id
    ):
        return _reject_incomplete(item, raw)
    shape = SHAPES[certificate.shape]
    carats = CARATS[bytes(certificate.carats)]
    if isinstance(carats, Rejected):
        return carats
    if shape is None or len(shape) > _LONGEST_SHAPE:
        return Rejected(
            "$.diamond.certificate.shape", "shape missing" if shape is None else "shape is too long"
        )
    if not 0 < price <= MAX_PRICE_CENTS:
        return Rejected("$.price", "price is 0 or less" if price <= 0 else "price is out of range")
    is_outside = price < price_from * 100 or (price_to is not None and price > price_to * 100)
    if is_outside and is_ten_times_off(price, price_from, price_to):
        return Rejected("$.price", "unit error? ten times or more off the range asked for")
    color, color_rank = COLORS[certificate.color]
    clarity, clarity_rank = CLARITIES[certificate.clarity]
    cut = QUALITIES[certificate.cut]
    polish = QUALITIES[certificate.polish]
    symmetry = QUALITIES[certificate.symmetry]
    fluorescence = FLUORESCENCES[certificate.floInt]
    fancy_color = fancy_intensity = fancy_overtone = None
    if certificate.f_color is not None or color == "FANCY":
        fancy_color, fancy_intensity, fancy_overtone = FANCIES[
            certificate.color, certificate.f_color, certificate.f_intensity, certificate.f_overtone
        ]
        if color is None and fancy_color is not None:
            color, color_rank = COLORS["FANCY"]
    length_member, length = LENGTHS[certificate.length]
    width_member, width = WIDTHS[certificate.width]
    depth_member, depth = DEPTHS[certificate.depth]
    depth_percent_member, depth_percent = DEPTH_PERCENTS[certificate.depthPercentage]
    table_member, table = TABLES[certificate.table]
    rim = RIMS[
        certificate.girdle, certificate.culetSize, certificate.girdleCondition, certificate.culet_condition
    ]
    measurements = (
        f"{length_member}{width_member}{depth_member}{depth_percent_member}{table_member}"
        f"{CROWN_ANGLES[certificate.crownAngle]}{CROWN_HEIGHTS[certificate.crownHeight]}"
        f"{PAV_ANGLES[certificate.pavAngle]}{PAV_HEIGHTS[certificate.pavHeight]}"
        f"{PAV_DEPTHS[certificate.pavDepth]}{rim}"
    )
    delivery = diamond.delivery_time or _NO_DELIVERY
    days_min, days_max, returnable = DELIVERIES[
        delivery.min_business_days, delivery.max_business_days, diamond.return_window
    ]
    looks, eye_clean = LOOKS[
        diamond.eyeClean, diamond.brown, diamond.green, diamond.blue, diamond.gray, diamond.milky,
        diamond.bowtie,
    ]  # fmt: skip
    origin, is_grown = ORIGINS[
        diamond.mine_of_origin, diamond.location, certificate.cut_style, certificate.floCol,
        certificate.labgrown_type, delivery.express_timeline_applicable,
    ]  # fmt: skip
    attributes = looks + origin
    if certificate.keyToSymbols is not None:
        attributes += KEYS_TO_SYMBOLS[certificate.keyToSymbols]
    if certificate.comments is not None:
        attributes += COMMENTS[certificate.comments]
    image, video, pdf = diamond.image, diamond.video or diamond.supplier_video_link, certificate.pdfUrl
    if image is not None and not image.startswith(_WEB):
        image = words.read_url(image)
    if video is not None and not video.startswith(_WEB):
        video = words.read_url(video)
    if pdf is not None and not pdf.startswith(_WEB):
        pdf = words.read_url(pdf)
    # From here on nothing is odd, so that a warning is given once.
    availability, is_known = AVAILABILITIES[diamond.availability]
    if not is_known:
        warnings.append(_unknown_availability(diamond.availability))
    lab_grown = certificate.labgrown is True or is_grown
    if lab_grown is not asked_lab_grown:
        lab_grown = _settle_type(lab_grown, certificate.labgrown, asked_lab_grown, warnings)
    if is_outside:
        warnings.append(_outside(price, price_from, price_to))
    supplier = diamond.supplier or _NO_SUPPLIER
    return Stone(
        stone_id,
        offer_id,
        shape,
        carats,
        color,
        clarity,
        cut,
        polish,
        symmetry,
        fluorescence,
        lab_grown,
        certificate.treated is True,
        price,
        availability,
        diamond.availability,
        diamond.HoldId or None,
        image,
        video,
        LABS[certificate.lab],
        (certificate.certNumber or "").strip() or None,
        pdf,
        f"{{{measurements[:-1]}}}".encode() if measurements else None,
        f"{{{attributes[:-1]}}}".encode() if attributes else None,
        supplier.name,
        supplier.legal_name,
        color_rank,
        clarity_rank,
        fancy_color,
        fancy_intensity,
        fancy_overtone,
        length,
        width,
        depth,
        table,
        depth_percent,
        (length * 2000 + width) // (2 * width) if length and width else None,
        eye_clean,
        days_min,
        days_max,
        returnable,
    )


def _reject_incomplete(item: Item, raw: RawStone) -> Rejected:
    """Which of the things no stone can be without is missing."""
    diamond = item.diamond
    if diamond is None:
        return Rejected("$.diamond", "no diamond in the item")
    if not item.id or not raw.offer_id:
        return Rejected("$.id", "offer id missing")
    if item.id != raw.offer_id:
        return Rejected("$.id", "offer id is not the row's")
    if not diamond.id or diamond.id != raw.supplier_stone_id:
        return Rejected("$.diamond.id", "stone id is not the row's")
    if diamond.certificate is None:
        return Rejected("$.diamond.certificate", "no certificate")
    return Rejected("$.price", "price missing")


def _outside(price: int, price_from: int, price_to: int | None) -> Warned:
    asked = f"{price_from} to {'up' if price_to is None else price_to}"
    return Warned("$.price", "outside the range asked for", f"{price} cents, USD {asked}")


def _settle_type(says_grown: bool, claim: bool | None, asked_grown: bool, warnings: list[Warned]) -> bool:
    """The type when item and question differ: lab-grown if either says so; a contradiction is told."""
    if says_grown:
        warnings.append(Warned("$.diamond.certificate.labgrown", "lab-grown, natural was asked", "true"))
    elif claim is False:
        warnings.append(Warned("$.diamond.certificate.labgrown", "natural, lab-grown was asked", "false"))
    return says_grown or asked_grown


def _unknown_availability(text: str | None) -> Warned:
    return Warned("$.diamond.availability", "unknown availability, taken as unavailable", (text or "")[:80])
