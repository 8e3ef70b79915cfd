"""The value of every schema field of a stone, as finished JSON, a column of stones at a time.

``LEAVES`` holds the scalar fields (and lists that are always empty), ``OBJECTS`` those that lead to another
type. Addresses of images and films are invented and lead nowhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import NAMESPACE_DNS, uuid5

import orjson

from diamond_opus.simulator import vocabulary as words
from diamond_opus.simulator.predicates import markup_cents
from diamond_opus.simulator.stones import SIX_DECIMALS, UNKNOWN
from diamond_opus.simulator.view import View

#: The JSON of one field for each stone of a view; a text alone is the same for all.
Leaf = Callable[[View], list[str]] | str


@dataclass(frozen=True, slots=True)
class ObjectField:
    """``exists`` names the bool column that says where there is an object; elsewhere it is null, or an
    empty list.
    """

    type_name: str
    exists: str | None = None
    is_list: bool = False


_HUNDREDTHS = tuple(f"{n // 100}.{n % 100:02d}" for n in range(65_536))
_CARATS = tuple(f"{n / 100:g}" for n in range(65_536))
_COMMENTS = tuple(orjson.dumps(comment).decode() for comment in words.COMMENTS)
_BOOLS = ("false", "true")

_FIRST_NAMES = (
    "Aurora", "Brilliant", "Cedar", "Delta", "Elm", "Fjord", "Granite", "Harbour", "Indigo", "Juniper",
    "Kestrel", "Linden", "Meridian", "Northern", "Opal", "Prairie", "Quartz", "Rowan", "Søren & Zoë", "D'Arcy \"Fils\"",
)  # fmt: skip
_LAST_NAMES = (
    "Diamonds", "Gems", "Stones", "Jewels", "Carats", "Facets", "Traders", "Exports", "Polishers", "House",
    "Brothers", "Sons", "Group", "Partners", "Imports", "Works", "Corner", "Vault", "Mine", "Lab",
)  # fmt: skip


def _supplier_name(code: int) -> str:
    return f"{_FIRST_NAMES[code % 20]} {_LAST_NAMES[code // 20]}"


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


SUPPLIER_IDS = tuple(
    str(uuid5(NAMESPACE_DNS, f"supplier-{code}.example.com")) for code in range(words.SUPPLIER_COUNT)
)
_SUPPLIER_IDS = tuple(_json(supplier_id) for supplier_id in SUPPLIER_IDS)
_SUPPLIER_NAMES = tuple(_json(_supplier_name(code)) for code in range(words.SUPPLIER_COUNT))
_SUPPLIER_LEGAL_NAMES = tuple(_json(f"{_supplier_name(code)} Ltd.") for code in range(words.SUPPLIER_COUNT))


def _looked_up(column: str, table: tuple[str, ...]) -> Leaf:
    return lambda view: [table[code] for code in view.column(column)]


def _word(column: str, vocabulary: words.Words) -> Leaf:
    return _looked_up(column, vocabulary.json)


def _number(column: str) -> Leaf:
    return lambda view: list(map(str, view.column(column)))


def _truth(column: str) -> Leaf:
    return lambda view: ["true" if value else "false" for value in view.column(column)]


def _measure(column: str, *, tenths: bool = False) -> Leaf:
    """A length or percentage as text, in the style of its stone."""
    scale = 10 if tenths else 1

    def leaf(view: View) -> list[str]:
        return [
            '"0"'
            if style == UNKNOWN
            else f'"{_HUNDREDTHS[value * scale]}0000"'
            if style == SIX_DECIMALS
            else f'"{_HUNDREDTHS[value * scale]}"'
            for value, style in zip(view.column(column), view.column("measure_style"), strict=True)
        ]

    return leaf


def _optional_measure(column: str, *, tenths: bool = True) -> Leaf:
    """The same for what only round stones have: null elsewhere."""
    scale = 10 if tenths else 100
    return lambda view: [
        f'"{_HUNDREDTHS[value * scale]}"' if value else "null" for value in view.column(column)
    ]


def _for_each(names: Callable[[View], list[str]], form: str, *, exists: str | None = None) -> Leaf:
    """``form`` with %s for one name of each stone, or of what belongs to it."""
    if exists is None:
        return lambda view: [form % name for name in names(view)]
    return lambda view: [
        form % name if there else "null" for name, there in zip(names(view), view.column(exists), strict=True)
    ]


def _ids(view: View) -> list[str]:
    return view.stone_ids


def _certificate_ids(view: View) -> list[str]:
    return view.certificate_ids


def _certificate_numbers(view: View) -> list[str]:
    return view.certificate_numbers


def _traded(holder: str) -> Leaf:
    """The id of the caller's own hold or order on the stone."""

    def leaf(view: View) -> list[str]:
        ids: dict[int, str] = getattr(view.inventory, holder)
        if not ids:
            return ["null"] * len(view)
        return [f'"{ids[row]}"' if row in ids else "null" for row in view.row_list]

    return leaf


def _markup_discount(view: View) -> list[str]:
    return [str(12 * (10_000 + discount) // 10 - 10_000) for discount in view.column("discount")]


def _country_of_origin(view: View) -> list[str]:
    return [words.MINES.json[code] for code in view.column("mine")]


# An address is shown to whoever may see the stone, so that none names the stone by its id, which is the supplier's.
_IMAGE = _for_each(_certificate_ids, '"https://images.example.com/%s/500/500/still.jpg"', exists="has_image")
_VIDEO = _for_each(
    _certificate_numbers, '"https://video.example.com/diamond/%s/video/500/500"', exists="has_video"
)
_TINGE_LEAVES: dict[str, Leaf] = {
    name: _word(name, words.TINGES) for name in ("brown", "green", "blue", "gray", "milky")
}

LEAVES: dict[str, dict[str, Leaf]] = {
    "DiamondItem": {
        "id": _for_each(_ids, '"DIAMOND/%s"'),
        "price": _number("price_cents"),
        "discount": _number("discount"),
        "markup_price": lambda view: [str(markup_cents(cents)) for cents in view.column("price_cents")],
        "markup_discount": _markup_discount,
        "diamond_price": lambda view: [str(cents - cents // 50) for cents in view.column("price_cents")],
    },
    "Diamond": {
        "id": _for_each(_ids, '"%s"'),
        "OrderItemId": _traded("order_item_ids"),
        "HoldId": _traded("hold_ids"),
        **_TINGE_LEAVES,
        "other": "null",
        "eyeClean": _word("eye_clean", words.EYE_CLEANS),
        "mine_of_origin": _word("mine", words.MINES),
        "canada_mark_eligible": "false",
        "forever_mark_eligible": "null",
        "bowtie": "null",
        "video": _VIDEO,
        "image": _IMAGE,
        "availability": _word("availability", words.AVAILABILITIES),
        "supplier_video_link": _for_each(
            _certificate_numbers, '"https://viewer.example.com/%s"', exists="has_video"
        ),
        "approval_type": '"FULL"',
        "final_price": "true",
        "inclusions": "[]",
        "show_measurements": "true",
        "show_certificate_number": "true",
        "return_window": _looked_up("returns", tuple(_json(days) for days in words.RETURN_WINDOWS)),
        "CertificateType": lambda view: [
            '"LabgrownCertificate"' if lab_grown else '"NaturalCertificate"'
            for lab_grown in view.column("lab_grown")
        ],
        "location": _word("location", words.LOCATIONS),
        "supplierStockId": lambda view: [
            "null" if number % 3 else f'"S-{number}"' for number in view.stock_numbers
        ],
        "NivodaStockId": lambda view: [f'"NIV{number:08d}"' for number in view.stock_numbers],
        "scs_certificate": "null",
        "country_of_polishing": "null",
    },
    "Certificate": {
        "id": _for_each(_certificate_ids, '"%s"'),
        "image": _IMAGE,
        "video": _VIDEO,
        "lab": _word("lab", words.NATURAL_LABS),
        "certNumber": _for_each(_certificate_numbers, '"%s"'),
        "country_of_origin": _country_of_origin,
        "canada_mark_eligible": "false",
        "shape": _word("shape", words.SHAPES),
        "fullShape": _word("shape", words.SHAPES),
        "carats": _looked_up("carats_h", _CARATS),
        "clarity": _word("clarity", words.CLARITIES),
        "cut": _word("cut", words.QUALITIES),
        "polish": _word("polish", words.QUALITIES),
        "symmetry": _word("symmetry", words.QUALITIES),
        "color": _word("color", words.COLORS),
        "f_color": _word("fancy_color", words.FANCY_COLORS),
        "f_intensity": _word("fancy_intensity", words.FANCY_INTENSITIES),
        "f_overtone": _word("fancy_overtone", words.FANCY_OVERTONES),
        "colorShade": "null",
        "length": _measure("length_h"),
        "width": _measure("width_h"),
        "depth": _measure("depth_h"),
        "comments": _looked_up("comment", _COMMENTS),
        "depthPercentage": _measure("depth_percent_t", tenths=True),
        "table": _measure("table_t", tenths=True),
        "crownAngle": _optional_measure("crown_angle_t"),
        "crownHeight": "null",
        "pavAngle": _optional_measure("pavilion_angle_t"),
        "pavHeight": "null",
        "pavDepth": _optional_measure("pavilion_depth_t"),
        "starLength": _optional_measure("star_length", tenths=False),
        "lowerGirdle": _optional_measure("lower_half", tenths=False),
        "girdle": _word("girdle", words.GIRDLES),
        "culetSize": _word("culet", words.CULETS),
        "pdfUrl": _for_each(
            _certificate_numbers, '"https://certificates.example.com/%s.pdf"', exists="has_pdf"
        ),
        "floInt": _word("fluorescence", words.FLUORESCENCES),
        "floCol": _word("fluorescence_color", words.FLUORESCENCE_COLORS),
        "keyToSymbols": _word("key_to_symbols", words.KEYS_TO_SYMBOLS),
        "verified": "null",
        "inclusions": "[]",
        "labgrown": _truth("lab_grown"),
        "labgrown_type": _word("labgrown_type", words.LABGROWN_TYPES),
        "treated": _truth("treated"),
        "girdleCondition": lambda view: ['"Faceted"' if salt & 1 else "null" for salt in view.salts],
        "culet_condition": "null",
        "cut_style": "null",
        "mix_tinge": "null",
        **_TINGE_LEAVES,
        "bowtie": "null",
        "eyeclean": _word("eye_clean", words.EYE_CLEANS),
    },
    "V360Info": {
        "url": lambda view: [f'"https://frames.example.com/{viewer_id}"' for viewer_id in view.viewer_ids],
        "frame_count": "256",
        "renumbered": "false",
        "top_index": lambda view: [f'"{salt % 256}"' for salt in view.salts],
        "dl_link": "null",
        "id": lambda view: [f'"{viewer_id}"' for viewer_id in view.viewer_ids],
    },
    "DeliveryTime": {
        "express_timeline_applicable": _looked_up(
            "delivery", tuple(_BOOLS[time[0]] for time in words.DELIVERY_TIMES)
        ),
        "min_business_days": _looked_up("delivery", tuple(str(time[1]) for time in words.DELIVERY_TIMES)),
        "max_business_days": _looked_up("delivery", tuple(str(time[2]) for time in words.DELIVERY_TIMES)),
    },
    "Company": {
        "id": _looked_up("supplier", _SUPPLIER_IDS),
        "name": _looked_up("supplier", _SUPPLIER_NAMES),
        "legal_name": _looked_up("supplier", _SUPPLIER_LEGAL_NAMES),
        "locations": "[]",
        "api_type": "null",
        "returns_used": "0",
        "accept_returns": "true",
        "accept_holds": "true",
    },
    "ProductImage": {
        "id": lambda view: [f'"{viewer_id}"' for viewer_id in view.viewer_ids],
        "url": _IMAGE,
        "loupe360_url": "null",
        "type": '"IMAGE"',
        "display_index": "0",
    },
    "ProductVideo": {
        "id": lambda view: [f'"{viewer_id}"' for viewer_id in view.viewer_ids],
        "url": _VIDEO,
        "loupe360_url": _VIDEO,
        "type": '"VIDEO"',
        "display_index": "0",
        "top_index": lambda view: [f'"{salt % 256}"' for salt in view.salts],
        "frame_count": "256",
    },
}

OBJECTS: dict[str, dict[str, ObjectField]] = {
    "DiamondItem": {"diamond": ObjectField("Diamond")},
    "Diamond": {
        "certificate": ObjectField("Certificate"),
        "v360": ObjectField("V360Info", exists="has_video"),
        "supplier": ObjectField("Company"),
        "delivery_time": ObjectField("DeliveryTime"),
    },
    "Certificate": {
        "v360": ObjectField("V360Info", exists="has_video"),
        "product_images": ObjectField("ProductImage", exists="has_image", is_list=True),
        "product_videos": ObjectField("ProductVideo", exists="has_video", is_list=True),
    },
}
