"""Whatever a supplier may send in any field: a stone that can be stored, or a reason, and never an exception."""

import json
import re
from typing import Any

from feed_builders import STONE_ID, make_item, make_raw
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from diamond_opus.domain.errors import Warned
from diamond_opus.domain.grades import CLARITIES, COLORS, FLUORESCENCES, QUALITIES, Availability
from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.nivoda import NivodaMapper
from diamond_opus.feeds.nivoda.answers import identify
from diamond_opus.feeds.protocol import RawItem, Rejected

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

#: The largest value of each whole number that a column holds.
LIMITS = {
    "carats_hundredths": 99_999,
    "feed_price_cents": 999_999_999,
    "length_mm": 9_999_999,
    "width_mm": 9_999_999,
    "depth_mm": 9_999_999,
    "table_percent": 9_999_999,
    "depth_percent": 9_999_999,
    "ratio": 99_999_999,
    "color_rank": 99,
    "clarity_rank": 99,
    "delivery_days_min": 2**31 - 1,
    "delivery_days_max": 2**31 - 1,
}

texts = st.text(max_size=12) | st.sampled_from(
    ["", "null", "0", "7.12", "-7", "61,5", "1e400", "FANCY", "EVEN", "NONE", "AVAILABLE", "Excellent", "STN", "\x00",
     "\ud800", "https://a", "javascript:x", "100%", "D", "VS1", "EX", "999.999", "0.001", "X" * 300]
)  # fmt: skip
numbers = st.integers() | st.floats() | st.sampled_from([0, 1, -1, 10**30, 1e300, 1.5, 130_000, 2**31])
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)


def _paths(item: dict[str, Any], parents: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, value in item.items():
        found.append((*parents, name))
        if isinstance(value, dict):
            found += _paths(value, (*parents, name))
    return found


PATHS = _paths(make_item())


@st.composite
def odd_items(draw: st.DrawFn) -> dict[str, Any]:
    """A valid item with a few fields replaced by anything at all, or left out."""
    item = make_item()
    for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=6)):
        place: Any = item
        for name in path[:-1]:
            place = place.get(name) if isinstance(place, dict) else None
        if isinstance(place, dict):
            if draw(st.integers(0, 9)) == 0:
                place.pop(path[-1], None)
            else:
                place[path[-1]] = draw(values)
    return item


def check_storable(stone: Stone) -> None:
    for field in fields(stone):
        value = getattr(stone, field.name)
        if isinstance(value, str):
            assert not UNSTORABLE.search(value), field.name
        elif isinstance(value, bytes):
            assert "\\u0000" not in value.decode().replace("\\\\", "")
            assert isinstance(json.loads(value), dict)
        elif isinstance(value, int) and not isinstance(value, bool):
            assert 0 <= value <= LIMITS[field.name], field.name
    assert stone.carats_hundredths > 0
    assert stone.feed_price_cents > 0
    assert 0 < len(stone.shape) <= 100
    assert stone.feed_availability in {word.value for word in Availability}
    for grade, known in (
        (stone.color, COLORS),
        (stone.clarity, CLARITIES),
        (stone.cut, QUALITIES),
        (stone.polish, QUALITIES),
        (stone.symmetry, QUALITIES),
        (stone.fluorescence, FLUORESCENCES),
    ):
        assert grade is None or grade in known


@settings(max_examples=400, deadline=None)
@given(item=odd_items(), lab_grown=st.booleans(), price_to=st.none() | st.integers(0, 10**6))
def test_any_value_in_any_field_gives_a_storable_stone_or_a_reason(
    item: dict[str, Any], lab_grown: bool, price_to: int | None
) -> None:
    payload = json.dumps(item).encode()
    warnings: list[Warned] = []

    result = NivodaMapper().map_stone(
        make_raw(payload, lab_grown=lab_grown, price_from=0, price_to=price_to), warnings
    )

    if isinstance(result, Rejected):
        assert result.json_path.startswith("$")
        assert 0 < len(result.reason) < 100
    else:
        check_storable(result)
        assert result.supplier_stone_id == STONE_ID
    for warned in warnings:
        assert len(warned.example) <= 80
        assert not UNSTORABLE.search(warned.example + warned.reason + warned.json_path)


@settings(max_examples=200, deadline=None)
@given(payload=st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_at_all_give_a_reason(payload: bytes) -> None:
    assert isinstance(NivodaMapper().map_stone(make_raw(payload), []), Rejected)


@settings(max_examples=200, deadline=None)
@given(item=odd_items())
def test_the_client_and_the_mapper_agree_on_who_a_stone_is(item: dict[str, Any]) -> None:
    payload = json.dumps(item).encode()
    row = identify(payload, "$")

    if isinstance(row, RawItem):
        raw = make_raw(
            payload, price_from=0, price_to=None, stone_id=row.supplier_stone_id, offer_id=row.offer_id
        )
        result = NivodaMapper().map_stone(raw, [])
        assert not isinstance(result, Rejected) or "the row's" not in result.reason


@settings(max_examples=200, deadline=None)
@given(item=odd_items())
def test_the_quick_path_and_the_repair_give_one_result(item: dict[str, Any]) -> None:
    """An escaped NUL anywhere sends an item through the repair; in a field nobody maps it changes nothing else.

    The repair also looks at a video link that is not used and may find it odd.
    """
    quick, slow = json.dumps(item).encode(), json.dumps(item | {"unmapped": "\x00"}).encode()

    results = []
    for payload in (quick, slow):
        warnings: list[Warned] = []
        stone = NivodaMapper().map_stone(make_raw(payload, price_from=0, price_to=None), warnings)
        results.append((stone, [warned for warned in warnings if "video_link" not in warned.json_path]))

    assert results[0] == results[1]
