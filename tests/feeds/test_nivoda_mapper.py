"""How the fields of an item become those of a stone, each by its rule; odd ones become null and are counted."""

import json
from typing import Any

import pytest
from feed_builders import STONE_ID, make_item, map_quietly, map_warned, read_sample

from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.nivoda import map_item


def test_a_typical_item_becomes_a_stone() -> None:
    stone = map_quietly(make_item())

    assert stone == Stone(
        supplier_stone_id=STONE_ID,
        offer_id=f"DIAMOND/{STONE_ID}",
        shape="ROUND",
        carats_hundredths=151,
        color="E",
        clarity="VS1",
        cut="EX",
        polish="VG",
        symmetry="G",
        fluorescence="FNT",
        lab_grown=False,
        treated=False,
        feed_price_cents=130_000,
        feed_availability="available",
        raw_availability="AVAILABLE",
        hold_id=None,
        image_url="https://example.com/1/500/500/image.jpg",
        video_url="https://example.com/1/video/500/500",
        certificate_lab="GIA",
        certificate_number="2446266314",
        certificate_pdf_url="https://example.com/2446266314.pdf",
        measurements=stone.measurements,
        attributes=stone.attributes,
        supplier_name="Example Gems",
        supplier_legal_name="Example Gems Ltd",
        color_rank=2,
        clarity_rank=5,
        fancy_color=None,
        fancy_intensity=None,
        fancy_overtone=None,
        length_mm=699,
        width_mm=706,
        depth_mm=468,
        table_percent=6100,
        depth_percent=6670,
        ratio=990,
        eye_clean=True,
        delivery_days_min=4,
        delivery_days_max=7,
        returnable=True,
    )
    assert json.loads(stone.measurements or b"") == {
        "length": 6.99,
        "width": 7.06,
        "depth": 4.68,
        "depthPercentage": 66.7,
        "table": 61,
        "crownAngle": 34.5,
        "girdle": "Medium - Very Thick",
    }
    assert json.loads(stone.attributes or b"") == {
        "eyeClean": "100%",
        "brown": "No",
        "green": "No",
        "milky": "No",
        "location": "INDIA",
        "fluorescenceColor": "BLUE",
        "expressDelivery": False,
        "keyToSymbols": "Feather, Cloud",
    }


def test_the_availability_is_a_plain_word() -> None:
    assert type(map_quietly(make_item()).feed_availability) is str


@pytest.mark.parametrize(
    ("name", "price", "carats", "clarity", "measured"),
    [
        ("item-staging-1d526198", 136_988, 150, "I3", None),
        ("item-staging-dad89ef8", 351_021, 151, "I2", (710, 720, 462)),
        ("item-staging-114caaa7", 354_176, None, None, None),
        ("item-staging-8c6982cd", 448_324, None, None, None),
        ("item-staging-abebd3fa", 496_519, 150, "I1", (699, 706, 468)),
    ],
)
def test_real_items_become_stones(
    name: str, price: int, carats: int | None, clarity: str | None, measured: tuple[int, int, int] | None
) -> None:
    item = read_sample(name)
    stone = map_quietly(item, stone_id=item["diamond"]["id"], price_from=1000, price_to=5000)

    assert (stone.feed_price_cents, stone.feed_availability, stone.color) == (price, "available", "D")
    assert (stone.lab_grown, stone.shape) == (False, "ROUND")
    if carats is not None:
        assert (stone.carats_hundredths, stone.clarity) == (carats, clarity)
    if measured is not None:
        assert (stone.length_mm, stone.width_mm, stone.depth_mm) == measured


def test_an_uncertified_stone_without_measurements_has_none() -> None:
    stone = map_item(read_sample("item-staging-1d526198"))

    assert (stone.certificate_lab, stone.certificate_number) == ("NONE", "examplegems2892B")
    assert (stone.length_mm, stone.ratio, stone.measurements) == (None, None, None)


def test_words_where_the_schema_has_enums_are_understood() -> None:
    stone = map_item(read_sample("mock-opus-cents"))

    assert (stone.cut, stone.polish, stone.symmetry, stone.fluorescence) == ("EX", "EX", "EX", "NON")
    assert (stone.feed_availability, stone.raw_availability) == ("available", "Available")
    assert (stone.eye_clean, stone.feed_price_cents) == (True, 150_050)


def test_null_measurements_and_a_mixed_case_shape_are_understood() -> None:
    stone = map_item(read_sample("mock-danhov-round"))

    assert (stone.shape, stone.length_mm, stone.certificate_number) == ("ROUND", None, "gia-1000001")


@pytest.mark.parametrize(
    ("word", "availability"),
    [
        ("AVAILABLE", "available"),
        (" Available ", "available"),
        ("HOLD", "on_hold"),
        ("ON_HOLD", "on_hold"),
        ("On Hold", "on_hold"),
        ("on-hold", "on_hold"),
        ("SOLD", "sold"),
        ("SOLD_OUT", "sold"),
        ("MEMO", "unavailable"),
        ("ON_MEMO", "unavailable"),
        ("CONSIGNMENT", "unavailable"),
        ("NOT_AVAILABLE", "unavailable"),
        ("NOT AVAILABLE", "unavailable"),
        ("UNAVAILABLE", "unavailable"),
        ("Unavailable", "unavailable"),
    ],
)
def test_availability_goes_by_exact_words(word: str, availability: str) -> None:
    stone = map_quietly(make_item(diamond__availability=word))

    assert (stone.feed_availability, stone.raw_availability) == (availability, word)


@pytest.mark.parametrize("word", ["AVAILABLE SOON", "UN-AVAILABLE", "", "SOLDOUT", None])
def test_an_unknown_availability_is_never_for_sale_and_counted(word: str | None) -> None:
    stone, warnings = map_warned(make_item(diamond__availability=word))

    assert (stone.feed_availability, stone.raw_availability) == ("unavailable", word)
    assert warnings == [("$.diamond.availability", word or "")]


@pytest.mark.parametrize(
    ("labgrown", "kind", "asked", "lab_grown", "contradicts"),
    [
        (False, None, False, False, False),
        (None, None, False, False, False),
        (True, None, True, True, False),
        (None, "CVD", True, True, False),
        (False, "HPHT", True, True, False),
        (None, None, True, True, False),
        (None, "", True, True, False),
        (True, None, False, True, True),
        (None, "CVD", False, True, True),
        (False, None, True, True, True),
    ],
)
def test_a_stone_is_lab_grown_by_certificate_type_or_question(
    labgrown: bool | None, kind: str | None, asked: bool, lab_grown: bool, contradicts: bool
) -> None:
    item = make_item(diamond__certificate__labgrown=labgrown, diamond__certificate__labgrown_type=kind)

    stone, warnings = map_warned(item, lab_grown=asked)

    assert stone.lab_grown is lab_grown
    assert [path for path, _ in warnings] == ["$.diamond.certificate.labgrown"] * contradicts


@pytest.mark.parametrize(("treated", "expected"), [(True, True), (False, False), (None, False)])
def test_treated_is_yes_only_when_said(treated: bool | None, expected: bool) -> None:
    assert map_quietly(make_item(diamond__certificate__treated=treated)).treated is expected


@pytest.mark.parametrize(
    ("carats", "hundredths"),
    [
        ("1.505", 151),
        ("1.5049999999999999", 150),
        ("1.51", 151),
        ("2", 200),
        ("0.295", 30),
        ("1.005", 101),
        ("0.005", 1),
        ("15e-1", 150),
        ("0.50000000000000000000000001", 50),
        ('"1.51"', 151),
        ("999.99", 99_999),
    ],
)
def test_carats_are_rounded_half_up_once_and_exactly(carats: str, hundredths: int) -> None:
    assert map_quietly(_with_carats(carats)).carats_hundredths == hundredths


def _with_carats(text: str) -> bytes:
    return json.dumps(make_item()).replace('"carats": 1.51', f'"carats": {text}').encode()


@pytest.mark.parametrize(
    ("text", "hundredths", "number"),
    [
        ("7.200000", 720, 7.2),
        ("7.12", 712, 7.12),
        ("7", 700, 7),
        (".5", 50, 0.5),
        ("7.125", 713, 7.125),
        ("7.2mm", 720, 7.2),
        ("007.20", 720, 7.2),
        ("0", None, None),
        ("0.00", None, None),
        ("null", None, None),
        ("", None, None),
        ("N/A", None, None),
        (None, None, None),
    ],
)
def test_a_measurement_is_a_number_or_unknown(
    text: str | None, hundredths: int | None, number: float | None
) -> None:
    stone = map_quietly(make_item(diamond__certificate__length=text))

    assert stone.length_mm == hundredths
    assert json.loads(stone.measurements or b"{}").get("length") == number


@pytest.mark.parametrize(
    "text", ["about 7", "61,5", "99999999999.99", "-7.1", "1e400", "NaN", "Infinity", "7.1.2", "1000"]
)
def test_a_measurement_that_is_none_becomes_null_and_is_counted(text: str) -> None:
    stone, warnings = map_warned(make_item(diamond__certificate__length=text))

    assert (stone.length_mm, stone.ratio) == (None, None)
    assert "length" not in json.loads(stone.measurements or b"{}")
    assert warnings == [("$.diamond.certificate.length", text)]


def test_measurements_as_numbers_are_taken() -> None:
    item = make_item(diamond__certificate__length=7.12, diamond__certificate__width=7)

    stone = map_quietly(item)

    assert (stone.length_mm, stone.width_mm, stone.ratio) == (712, 700, 1017)


def test_all_measurements_are_kept_under_their_names() -> None:
    names = ("crownAngle", "crownHeight", "pavAngle", "pavHeight", "pavDepth")
    texts = {"girdle": "Thin", "culetSize": "NON", "girdleCondition": "Faceted", "culet_condition": "Pointed"}
    item = make_item()
    item["diamond"]["certificate"] |= {name: f"{number}.5" for number, name in enumerate(names, 1)} | texts

    measurements = json.loads(map_quietly(item).measurements or b"")

    assert {name: measurements[name] for name in names} == dict(
        zip(names, (1.5, 2.5, 3.5, 4.5, 5.5), strict=True)
    )
    assert [measurements[name] for name in ("girdle", "culetSize", "girdleCondition", "culetCondition")] == [
        "Thin", "NON", "Faceted", "Pointed",
    ]  # fmt: skip


def test_an_angle_may_be_negative() -> None:
    stone = map_quietly(make_item(diamond__certificate__crownAngle="-34.50"))

    assert json.loads(stone.measurements or b"")["crownAngle"] == -34.5


def test_a_girdle_of_the_four_letters_null_is_none() -> None:
    stone = map_quietly(make_item(diamond__certificate__girdle="null"))

    assert "girdle" not in json.loads(stone.measurements or b"")


@pytest.mark.parametrize(
    ("text", "clean"),
    [("Yes", True), ("100%", True), ("100 %", True), (True, True), ("No", False), ("90%", None),
     ("Borderline", None), ("maybe", None), (None, None)],
)  # fmt: skip
def test_eye_clean_is_yes_no_or_open(text: str | bool | None, clean: bool | None) -> None:
    assert map_quietly(make_item(diamond__eyeClean=text)).eye_clean is clean


@pytest.mark.parametrize(("window", "returnable"), [(30, True), (0, False), (None, None), ("30", True)])
def test_a_stone_can_be_returned_within_a_window(window: Any, returnable: bool | None) -> None:
    assert map_quietly(make_item(diamond__return_window=window)).returnable is returnable


def test_delivery_days_that_are_none_become_null() -> None:
    item = make_item(
        diamond__delivery_time__min_business_days=10**18, diamond__delivery_time__max_business_days="soon"
    )

    stone, warnings = map_warned(item)

    assert (stone.delivery_days_min, stone.delivery_days_max) == (None, None)
    assert warnings == [
        ("$.diamond.delivery_time.min_business_days", "1000000000000000000"),
        ("$.diamond.delivery_time.max_business_days", "soon"),
    ]


@pytest.mark.parametrize(
    ("video", "link", "expected"),
    [
        ("https://a/v", "https://b/v", "https://a/v"),
        (None, "https://b/v", "https://b/v"),
        ("", "https://b/v", "https://b/v"),
        (None, None, None),
        ("", "", None),
    ],
)
def test_the_video_is_the_suppliers_link_where_there_is_no_other(
    video: str | None, link: str | None, expected: str | None
) -> None:
    item = make_item(diamond__video=video, diamond__supplier_video_link=link)

    assert map_quietly(item).video_url == expected


def test_what_is_no_web_address_never_becomes_a_link() -> None:
    item = make_item(diamond__image="javascript:alert(1)", diamond__certificate__pdfUrl="data:text/html,x")

    stone, warnings = map_warned(item)

    assert (stone.image_url, stone.certificate_pdf_url) == (None, None)
    assert [path for path, _ in warnings] == ["$.diamond.image", "$.diamond.certificate.pdfUrl"]


def test_a_hold_of_ours_is_kept() -> None:
    assert map_quietly(make_item(diamond__HoldId="hold-1")).hold_id == "hold-1"


def test_attributes_name_neither_vendor_nor_offer_nor_stone() -> None:
    item = make_item()
    item["diamond"] |= {
        "NivodaStockId": "N-1",
        "supplierStockId": "S-1",
        "v360": {"url": "https://assets.example.com/aHR0cHM6Ly92ZW5kb3I="},
    }

    attributes = (map_quietly(item).attributes or b"").decode()

    assert not any(secret in attributes for secret in ("N-1", "S-1", "aHR0cHM", "Example", STONE_ID))


def test_texts_survive_as_they_are() -> None:
    text = 'Ø 5 \U0001f48e "quoted" back\\slash tab\t line\nfeed \u2028 \\u0000 </script> %s {}'

    stone = map_quietly(make_item(diamond__certificate__comments=text, diamond__supplier=None))

    assert json.loads(stone.attributes or b"")["comments"] == text
    assert (stone.supplier_name, stone.supplier_legal_name) == (None, None)


@pytest.mark.parametrize("character", ["\\u0000", "\\ud800", "\\udfff"])
def test_characters_that_no_database_stores_are_replaced_and_counted(character: str) -> None:
    payload = json.dumps(make_item(diamond__certificate__comments="X", diamond__supplier__name="X"))

    stone, warnings = map_warned(payload.replace('"X"', f'"a{character}b"').encode())

    assert json.loads(stone.attributes or b"")["comments"] == "a\ufffdb"
    assert stone.supplier_name == "a\ufffdb"
    assert warnings == [
        ("$.diamond.certificate.comments", "a\ufffdb"),
        ("$.diamond.supplier.name", "a\ufffdb"),
    ]


def test_a_hundred_kilobytes_of_comments_are_kept() -> None:
    text = "0123456789" * 10_000

    stone = map_quietly(make_item(diamond__certificate__comments=text))

    assert json.loads(stone.attributes or b"")["comments"] == text


def test_several_odd_fields_are_each_counted_once() -> None:
    item = make_item(
        diamond__availability="PERHAPS",
        diamond__certificate__color="??",
        diamond__certificate__width=["7"],
        diamond__certificate__treated="perhaps",
        diamond__delivery_time=17,
    )

    stone, warnings = map_warned(item)

    assert (stone.color, stone.width_mm, stone.treated, stone.delivery_days_min) == (None, None, False, None)
    assert sorted(path for path, _ in warnings) == [
        "$.diamond.availability",
        "$.diamond.certificate.color",
        "$.diamond.certificate.treated",
        "$.diamond.certificate.width",
        "$.diamond.delivery_time",
    ]


def test_an_example_is_short() -> None:
    _, [(_, example)] = map_warned(make_item(diamond__certificate__color="?" * 10_000))

    assert len(example) == 80
