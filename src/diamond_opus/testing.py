"""Valid stones, rules and supplier items for tests: state only what your test is about.

>>> make_stone(shape="OVAL", carats_hundredths=201).shape
'OVAL'
>>> make_rule(priority=10, markup_ratio="1.25").markup_ratio_e4
12500
>>> make_item(price=41_250, certificate={"carats": 0.5})["diamond"]["certificate"]["carats"]
0.5
"""

from collections.abc import Mapping
from typing import Any

from diamond_opus.domain.grades import CLARITY_RANK, COLOR_RANK
from diamond_opus.domain.stone import Stone
from diamond_opus.pricing.rules import PricingRule

_STONE_ID = "5a3f6c2e-9d1b-4e70-8a44-1c0f7d2b9e63"


def make_stone(**overrides: Any) -> Stone:
    """A natural round of 1.50 ct for 5,000 dollars, with the given fields of :class:`Stone` instead.

    ``offer_id`` follows ``supplier_stone_id``, the ranks follow ``color`` and ``clarity``, unless given too.
    Raises TypeError for a field that a stone does not have.

    >>> stone = make_stone(supplier_stone_id="s-1", color="F")
    >>> stone.offer_id, stone.color_rank, stone.feed_price_cents
    ('DIAMOND/s-1', 3, 500000)
    """
    fields: dict[str, Any] = {
        "supplier_stone_id": _STONE_ID,
        "shape": "ROUND",
        "carats_hundredths": 150,
        "color": "D",
        "clarity": "VS1",
        "cut": "EX",
        "polish": "EX",
        "symmetry": "EX",
        "fluorescence": "NON",
        "lab_grown": False,
        "treated": False,
        "feed_price_cents": 500_000,
        "feed_availability": "available",
        "raw_availability": "AVAILABLE",
        "hold_id": None,
        "image_url": "https://example.com/stone.jpg",
        "video_url": "https://example.com/stone.mp4",
        "certificate_lab": "GIA",
        "certificate_number": "2141438171",
        "certificate_pdf_url": "https://example.com/certificate.pdf",
        "measurements": b'{"length":7.3,"width":7.31,"depth":4.51}',
        "attributes": None,
        "supplier_name": "Example Gems",
        "supplier_legal_name": "Example Gems LLC",
        "fancy_color": None,
        "fancy_intensity": None,
        "fancy_overtone": None,
        "length_mm": 730,
        "width_mm": 731,
        "depth_mm": 451,
        "table_percent": 5700,
        "depth_percent": 6200,
        "ratio": 999,
        "eye_clean": True,
        "delivery_days_min": 5,
        "delivery_days_max": 10,
        "returnable": True,
        **overrides,
    }
    fields.setdefault("offer_id", f"DIAMOND/{fields['supplier_stone_id']}")
    fields.setdefault("color_rank", COLOR_RANK.get(fields["color"]))
    fields.setdefault("clarity_rank", CLARITY_RANK.get(fields["clarity"]))
    return Stone(**fields)


def make_rule(**overrides: Any) -> PricingRule:
    """The rule that matches every stone (priority 1000, ratio 1.15, rating 5), with what is given instead.

    Takes what :meth:`PricingRule.create` takes, and raises InvalidRule as it does.

    >>> rule = make_rule(carat_min="1.00", shapes=["OVAL"])
    >>> rule.carat_min_hundredths, rule.shapes, rule.rating
    (100, ('OVAL',), 5)
    """
    fields: dict[str, Any] = {
        "id": "rule-1",
        "priority": 1000,
        "markup_ratio": "1.15",
        "rating": 5,
        **overrides,
    }
    return PricingRule.create(**fields)


def make_item(
    *,
    supplier_stone_id: str = _STONE_ID,
    diamond: Mapping[str, Any] | None = None,
    certificate: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """What the supplier's GraphQL answers for one stone: ``{id, price, diamond: {..., certificate: {...}}}``.

    Mappings given as ``diamond`` and ``certificate`` replace or add single fields there, other keywords do so
    at the top, and nothing is checked: what is null, odd or unknown to the supplier may be put anywhere. A
    whole object is replaced by ``diamond={"certificate": None}``. ``price`` is in cents.

    >>> item = make_item(supplier_stone_id="s-1", diamond={"availability": "HOLD"}, certificate={"cut": None})
    >>> item["id"], item["diamond"]["id"], item["diamond"]["availability"], item["price"]
    ('DIAMOND/s-1', 's-1', 'HOLD', 500000)
    """
    return {
        "id": f"DIAMOND/{supplier_stone_id}",
        "price": 500_000,
        "discount": -1903,
        "diamond_price": 495_000,
        "markup_price": 500_000,
        "markup_discount": -1903,
        "diamond": {**_diamond(supplier_stone_id, certificate or {}), **(diamond or {})},
        **overrides,
    }


def _diamond(supplier_stone_id: str, certificate: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": supplier_stone_id,
        "availability": "AVAILABLE",
        "HoldId": None,
        "NivodaStockId": "N-100231",
        "supplierStockId": "EG-2892",
        "image": "https://example.com/stone.jpg",
        "video": "https://example.com/video/500/500",
        "eyeClean": "100%",
        "brown": "No",
        "green": "No",
        "blue": None,
        "gray": None,
        "milky": "No",
        "bowtie": None,
        "mine_of_origin": None,
        "supplier_video_link": None,
        "approval_type": None,
        "final_price": True,
        "show_measurements": True,
        "show_certificate_number": True,
        "return_window": 30,
        "CertificateType": None,
        "delivery_time": {
            "express_timeline_applicable": False,
            "min_business_days": 5,
            "max_business_days": 10,
        },
        "certificate": {**_certificate(), **certificate},
        "supplier": {"id": "c-17", "name": "Example Gems", "legal_name": "Example Gems LLC"},
    }


def _certificate() -> dict[str, Any]:
    return {
        "id": "71b0b68f-d92b-51a2-a79c-00ba28cea738",
        "lab": "GIA",
        "certNumber": "2141438171",
        "pdfUrl": "https://example.com/certificate.pdf",
        "shape": "ROUND",
        "fullShape": None,
        "carats": 1.5,
        "clarity": "VS1",
        "cut": "EX",
        "polish": "EX",
        "symmetry": "EX",
        "color": "D",
        "f_color": None,
        "f_intensity": None,
        "f_overtone": None,
        "length": "7.300000",
        "width": "7.310000",
        "depth": "4.510000",
        "depthPercentage": "62.000000",
        "table": "57.000000",
        "crownAngle": "34.500000",
        "crownHeight": "15.000000",
        "pavAngle": "40.800000",
        "pavHeight": "43.000000",
        "pavDepth": "43.000000",
        "floInt": "NON",
        "floCol": None,
        "verified": None,
        "labgrown": False,
        "labgrown_type": None,
        "treated": False,
        "girdle": "STK-THK",
        "culetSize": "NON",
        "girdleCondition": None,
        "culet_condition": None,
        "cut_style": None,
        "keyToSymbols": None,
        "comments": None,
    }
