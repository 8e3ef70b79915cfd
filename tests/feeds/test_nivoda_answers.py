"""Reading a page: the forgiving reader finds the same items as the quick one, byte for byte."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diamond_opus.feeds.nivoda import lenient
from diamond_opus.feeds.nivoda.answers import read_items, read_page
from diamond_opus.feeds.protocol import RawItem, Unreadable

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
answers = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {"diamonds_by_query": st.fixed_dictionaries({"items": st.lists(values)})}
        )
    },
    optional={"errors": st.lists(st.dictionaries(texts, st.text(max_size=5), max_size=2)), "x": values},
)


@settings(max_examples=150, deadline=None)
@given(answer=answers, indent=st.sampled_from([None, 0, 3]), ascii_only=st.booleans())
def test_both_readers_find_the_same_items(answer: object, indent: int | None, ascii_only: bool) -> None:
    body = json.dumps(answer, indent=indent, ensure_ascii=ascii_only).encode(errors="surrogatepass")

    items, errors = lenient.split_items(body)

    assert (items, list(errors)) == (read_items(body)[0], list(read_items(body)[1]))


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=80) | answers.map(lambda answer: json.dumps(answer).encode()[:-3]))
def test_whatever_comes_is_a_page_or_a_decode_error(body: bytes) -> None:
    try:
        items, _ = read_items(body)
    except msgspec.DecodeError:
        return
    assert items is None or all(isinstance(item, bytes) for item in items)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{"diamonds_by_query":{"items":["\\ud800",NaN]}}}',
        b'{"data":{"diamonds_by_query":{"items":["\\ud800"]',
        b"\xff\xfe",
        b"",
    ],
)
def test_what_no_reader_takes_is_a_decode_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        read_items(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":"\\ud800"}',
        b'{"data":{"diamonds_by_query":{"items":"\\ud800"}},"errors":{}}',
    ],
)
def test_an_answer_of_another_form_has_no_items(body: bytes) -> None:
    assert read_items(body) == (None, ())


def test_of_a_repeated_name_the_last_counts() -> None:
    body = b'{"data":null,"data":{"diamonds_by_query":{"items":["a"],"items": [ "\\ud800" ,2 ] }}}'

    assert read_items(body)[0] == [b'"\\ud800"', b"2"]


def test_an_item_that_is_not_utf8_costs_only_itself() -> None:
    good = b'{"id":"DIAMOND/a","price":5,"diamond":{"id":"a","x":"\xc3\xb8"}}'
    bad = b'{"id":"DIAMOND/b","price":5,"diamond":{"id":"b","x":"\xff"}}'

    page, _ = read_page(b'{"data":{"diamonds_by_query":{"items":[%b,%b,"\\ud800"]}}}' % (good, bad))

    assert page is not None
    assert [row.payload for row in page.rows] == [good, bad, b'"\\ud800"']
    assert [type(row) for row in page.rows] == [RawItem, Unreadable, Unreadable]
