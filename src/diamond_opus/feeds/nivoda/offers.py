"""How an item is shown to a person and read as evidence: leniently, because nothing is decided by most of it."""

import json
from typing import Any

from diamond_opus.feeds.nivoda.words import read_availability
from diamond_opus.feeds.protocol import RawItem
from diamond_opus.feeds.trading import Offer, OfferedCertificate

#: What stands before the stone's id in an offer id.
OFFER_PREFIX = "DIAMOND/"


def read_offer(item: RawItem) -> Offer:
    """The offer; a field of another type than the supplier promises counts as missing."""
    whole = _load(item.payload)
    diamond = _as_object(whole.get("diamond"))
    supplier = _as_object(diamond.get("supplier"))
    raw_availability = _as_text(diamond.get("availability"))
    return Offer(
        offer_id=item.offer_id,
        supplier_stone_id=item.supplier_stone_id,
        price_cents=item.price_cents,
        discount=_as_number(whole.get("discount")),
        availability=read_availability(raw_availability)[0].value,
        raw_availability=raw_availability,
        hold_id=_as_text(diamond.get("HoldId")) or None,
        order_item_id=_as_text(diamond.get("OrderItemId")) or None,
        stock_id=_as_text(diamond.get("NivodaStockId")),
        supplier_stock_id=_as_text(diamond.get("supplierStockId")),
        image_url=_as_text(diamond.get("image")),
        video_url=_as_text(diamond.get("video")) or _as_text(diamond.get("supplier_video_link")),
        certificate=_read_certificate(diamond.get("certificate")),
        supplier_id=_as_text(supplier.get("id")),
        supplier_name=_as_text(supplier.get("name")),
    )


def _read_certificate(value: Any) -> OfferedCertificate | None:
    if not isinstance(value, dict):
        return None
    names = ("lab", "certNumber", "shape", "color", "clarity", "cut", "polish", "symmetry", "floInt")
    lab, number, shape, color, clarity, cut, polish, symmetry, fluorescence = (
        _as_text(value.get(name)) for name in names
    )
    carats = _as_number(value.get("carats"))
    lab_grown = value.get("labgrown")
    return OfferedCertificate(
        lab, number, shape, carats, color, clarity, cut, polish, symmetry, fluorescence,
        lab_grown if isinstance(lab_grown, bool) else None,
    )  # fmt: skip


def _load(payload: bytes) -> dict[str, Any]:
    try:
        return _as_object(json.loads(payload.decode(errors="replace")))
    except (ValueError, RecursionError):  # a number of thousands of digits, or nothing but brackets
        return {}


def _as_text(value: Any) -> str | None:
    """Half a surrogate pair, which no answer of ours can hold, becomes a question mark."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else None


def _as_number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
