"""What cannot become a diamond, and which prices are believed."""

import json
from typing import Any

import pytest
from feed_builders import MAPPER, STONE_ID, make_item, make_raw, map_quietly, map_warned, reject

from diamond_opus.domain.errors import Skippable, Warned
from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.nivoda import map_item
from diamond_opus.feeds.protocol import Rejected

CARATS = "diamond__certificate__carats"
SHAPE = "diamond__certificate__shape"
REJECTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no price": ({"price": None}, "$.price", "price missing"),
    "price zero": ({"price": 0}, "$.price", "price is 0 or less"),
    "price below zero": ({"price": -130_000}, "$.price", "price is 0 or less"),
    "price with a fraction": ({"price": 130_000.5}, "$.price", "price has a fraction of a cent"),
    "price as words": ({"price": "dear"}, "$.price", "price is not a number"),
    "price as dollars": ({"price": "1300.00"}, "$.price", "price is not a number"),
    "price yes": ({"price": True}, "$.price", "price is not a number"),
    "carats zero": ({CARATS: 0}, "$.diamond.certificate.carats", "carats is 0 or less"),
    "carats null": ({CARATS: None}, "$.diamond.certificate.carats", "carats missing"),
    "carats below zero": ({CARATS: -1}, "$.diamond.certificate.carats", "carats is 0 or less"),
    "carats 1000": ({CARATS: 1000}, "$.diamond.certificate.carats", "carats is 1000 or more"),
    "carats 999.995": ({CARATS: 999.995}, "$.diamond.certificate.carats", "carats is 1000 or more"),
    "carats 0.004": ({CARATS: 0.004}, "$.diamond.certificate.carats", "carats rounds to 0"),
    "carats words": ({CARATS: "heavy"}, "$.diamond.certificate.carats", "carats is not a number"),
    "carats list": ({CARATS: [1]}, "$.diamond.certificate.carats", "carats is not a number"),
    "no shape": ({SHAPE: None}, "$.diamond.certificate.shape", "shape missing"),
    "shape empty": ({SHAPE: ""}, "$.diamond.certificate.shape", "shape missing"),
    "shape blank": ({SHAPE: "  "}, "$.diamond.certificate.shape", "shape missing"),
    "shape endless": ({SHAPE: "X" * 101}, "$.diamond.certificate.shape", "shape is too long"),
    "no certificate": ({"diamond__certificate": None}, "$.diamond.certificate", "no certificate"),
    "certificate odd": ({"diamond__certificate": "GIA"}, "$.diamond.certificate", "no certificate"),
    "no diamond": ({"diamond": None}, "$.diamond", "no diamond in the item"),
    "no offer id": ({"id": None}, "$.id", "offer id missing"),
    "another offer": ({"id": "DIAMOND/other"}, "$.id", "offer id is not the row's"),
    "another stone": ({"diamond__id": "other"}, "$.diamond.id", "stone id is not the row's"),
}


@pytest.mark.parametrize(("changes", "path", "reason"), REJECTIONS.values(), ids=REJECTIONS)
def test_what_cannot_become_a_diamond_is_rejected_with_path_and_reason(
    changes: dict[str, Any], path: str, reason: str
) -> None:
    assert reject(make_item(**changes)) == Rejected(path, reason)


@pytest.mark.parametrize("field", ["price", "diamond__certificate__carats", "diamond__certificate__shape"])
def test_a_field_that_is_not_there_is_missing(field: str) -> None:
    assert reject(make_item(drop=field)).reason == f"{field.rpartition('__')[2]} missing"


def test_an_offer_without_id_is_rejected_though_its_row_has_none_either() -> None:
    assert reject(make_item(id=""), offer_id="") == Rejected("$.id", "offer id missing")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "the payload is not JSON"),
        (b"<html>", "the payload is not JSON"),
        (b'{"id": "DIAMOND/x"', "the payload is not JSON"),
        (b"\xff\xfe", "the payload is not JSON"),
        (b"[" * 100_000, "the payload is not JSON"),
        (b'{"x":' * 50_000 + b"1" + b"}" * 50_000, "the payload is not JSON"),
        (b"[]", "the payload is not an object"),
        (b"null", "the payload is not an object"),
        (b"17", "the payload is not an object"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_payload_that_is_no_item_is_rejected(payload: bytes, reason: str) -> None:
    assert reject(payload) == Rejected("$", reason)


@pytest.mark.parametrize(
    "price", ["1e999999999999999999999", "1e30", "9" * 5000, "1000000000", "1e9", "NaN", "Infinity"]
)
def test_a_price_no_column_holds_is_rejected(price: str) -> None:
    payload = json.dumps(make_item()).replace("130000", price).encode()

    assert reject(payload, price_to=None).json_path == "$.price"


def test_the_dearest_price_still_fits_its_columns() -> None:
    assert map_quietly(make_item(price=999_999_999), price_to=None).feed_price_cents == 999_999_999


@pytest.mark.parametrize("price", ["130000.0", "1.3e5"])
def test_a_price_written_with_a_point_but_no_fraction_is_whole(price: str) -> None:
    payload = json.dumps(make_item()).replace("130000", price).encode()

    assert map_quietly(payload).feed_price_cents == 130_000


def test_a_price_as_text_is_believed_with_a_warning() -> None:
    stone, warnings = map_warned(make_item(price="130000"))

    assert stone.feed_price_cents == 130_000
    assert warnings == [("$.price", "130000")]


@pytest.mark.parametrize(
    ("price", "price_from", "price_to", "is_rejected", "is_warned"),
    [
        (120_000, 1200, 1340, False, False),
        (134_000, 1200, 1340, False, False),
        (119_999, 1200, 1340, False, True),
        (134_001, 1200, 1340, False, True),
        (12_001, 1200, 1340, False, True),
        (12_000, 1200, 1340, True, False),
        (1_339_999, 1200, 1340, False, True),
        (1_340_000, 1200, 1340, True, False),
        (1, 0, 100, False, False),
        (99_999, 0, 100, False, True),
        (100_000, 0, 100, True, False),
        (999_999_999, 5000, None, False, False),
        (50_000, 5000, None, True, False),
        (1, 0, None, False, False),
    ],
)
def test_a_price_far_off_the_range_asked_for_is_a_unit_error_and_one_beside_it_is_counted(
    price: int, price_from: int, price_to: int | None, is_rejected: bool, is_warned: bool
) -> None:
    warnings: list[Warned] = []
    raw = make_raw(make_item(price=price), price_from=price_from, price_to=price_to)

    result = MAPPER.map_stone(raw, warnings)

    if is_rejected:
        assert result == Rejected("$.price", "unit error? ten times or more off the range asked for")
    else:
        assert isinstance(result, Stone)
    assert [warned.json_path for warned in warnings] == ["$.price"] * is_warned


def test_an_item_can_be_mapped_from_bytes_or_a_dict() -> None:
    item = make_item()

    assert (
        map_item(item)
        == map_item(json.dumps(item).encode())
        == map_quietly(item, price_from=0, price_to=None)
    )
    assert map_item(make_item(diamond__certificate__labgrown=None), asked_lab_grown=True).lab_grown


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (make_item(price=0), f"of DIAMOND/{STONE_ID}: price is 0 or less at \\$.price"),
        (make_item(diamond=None), r"this item: the item has no diamond at \$.diamond"),
        (b"<html>", r"this item: the item has no diamond at \$.diamond"),
    ],
    ids=["a price of 0", "no diamond", "html"],
)
def test_an_item_that_cannot_be_mapped_says_why(item: Any, told: str) -> None:
    with pytest.raises(Skippable, match=told):
        map_item(item)
