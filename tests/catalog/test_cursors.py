"""A cursor comes back as it was written, and anything else is refused before it can reach the database."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.catalog.parameters import BadValueError, InvalidParameters, PermissionMissing
from diamond_opus.catalog.search import parse_search
from diamond_opus.catalog.sorts import SORTS, Cursor, CursorText, write_cursor

STONE = UUID("57c74cc7-de68-59ff-87ef-b7e5ced48928")
KEYS = [
    ("created_at", datetime(2026, 1, 1, 12, 30, 15, 123457, tzinfo=UTC)),
    ("price", Decimal("1369.88")),
    ("price_per_carat", None),
    ("carats", Decimal("1.50")),
    ("color", 3),
    ("clarity", None),
    ("rating", 10),
    ("feed_price", Decimal("9999999999.99")),
]
DIGEST = parse_search([], with_cost=True).filters_digest


def encode(*fields: Any) -> str:
    return urlsafe_b64encode(orjson.dumps(fields)).decode()


@pytest.mark.parametrize(("name", "key"), KEYS)
@pytest.mark.parametrize("descending", [True, False])
def test_a_cursor_comes_back_unrounded(name: str, key: Any, descending: bool) -> None:
    cursor = Cursor(SORTS[name], descending, key, STONE, DIGEST)

    assert CursorText().read(write_cursor(cursor)) == cursor


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "é" * 8,
        "A" * 501,
        urlsafe_b64encode(b"{}").decode(),
        urlsafe_b64encode(b"\xff\xfe").decode(),
        encode(2, "price", True, "1.00", str(STONE), DIGEST),
        encode(1, "shape", True, "1.00", str(STONE), DIGEST),
        encode(1, ["price"], True, "1.00", str(STONE), DIGEST),
        encode(1, "price", "yes", "1.00", str(STONE), DIGEST),
        encode(1, "price", True, None, str(STONE), DIGEST),
        encode(1, "price", True, 1.5, str(STONE), DIGEST),
        encode(1, "price", True, "NaN", str(STONE), DIGEST),
        encode(1, "price", True, "1e500", str(STONE), DIGEST),
        encode(1, "price", True, "1; DROP TABLE diamonds", str(STONE), DIGEST),
        encode(1, "color", True, "-1", str(STONE), DIGEST),
        encode(1, "color", True, "999999999", str(STONE), DIGEST),
        encode(1, "created_at", True, "2026-01-01T00:00:00", str(STONE), DIGEST),
        encode(1, "created_at", True, "tomorrow", str(STONE), DIGEST),
        encode(1, "price", True, "1.00", 17, DIGEST),
        encode(1, "price", True, "1.00", "stone", DIGEST),
        encode(1, "price", True, "1.00", str(STONE), None),
        encode(1, "price", True, "1.00", str(STONE)),
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        CursorText().read(text)


@given(st.text(max_size=600))
def test_no_text_breaks_the_reading_of_a_cursor(text: str) -> None:
    with pytest.raises(BadValueError):
        CursorText().read(text)


@given(
    st.lists(
        st.recursive(st.none() | st.booleans() | st.integers(0, 2**60) | st.text(), st.lists), max_size=7
    )
)
def test_no_json_breaks_the_reading_of_a_cursor(fields: list[Any]) -> None:
    with pytest.raises(BadValueError):
        CursorText().read(urlsafe_b64encode(orjson.dumps(fields)).decode())


def cursor_by_price(digest: str = DIGEST) -> str:
    return write_cursor(Cursor(SORTS["price"], False, Decimal("5.00"), STONE, digest))


def test_a_cursor_brings_its_own_order() -> None:
    search = parse_search([("cursor", cursor_by_price())], with_cost=False)

    assert (search.sort.name, search.descending, search.page) == ("price", False, None)


def test_the_order_may_be_repeated_beside_a_cursor_under_its_older_name() -> None:
    pairs = [("cursor", cursor_by_price()), ("sort_by", "price_model_price"), ("sort_order", "asc")]

    assert parse_search(pairs, with_cost=False).sort.name == "price"


@pytest.mark.parametrize(
    ("name", "value"), [("sort_by", "carats"), ("sort_order", "desc"), ("page", "2"), ("color", "D")]
)
def test_what_contradicts_a_cursor_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        parse_search([("cursor", cursor_by_price()), (name, value)], with_cost=False)

    assert refused.value.problems[0].parameter in (name, "cursor")


def test_a_cursor_by_cost_needs_the_permission() -> None:
    cursor = write_cursor(Cursor(SORTS["feed_price"], True, Decimal("5.00"), STONE, DIGEST))

    with pytest.raises(PermissionMissing):
        parse_search([("cursor", cursor)], with_cost=False)
