"""What a search refuses, and how it says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.catalog.parameters import InvalidParameters, PermissionMissing, Problem
from diamond_opus.catalog.search import PARAMETERS, Search, parse_search


def parse(query: str, *, with_cost: bool = False) -> Search:
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]
    return parse_search(pairs, with_cost=with_cost)


def refusals(query: str) -> list[Problem]:
    with pytest.raises(InvalidParameters) as refused:
        parse(query)
    return list(refused.value.problems)


@pytest.mark.parametrize(
    "query",
    [
        "color=Q1",
        "color=",
        "color=D,,E",
        "clarity=VVS3",
        "cut=best",
        "availability=maybe",
        "lab_grown=1",
        "lab_grown=True",
        "carat_min=abc",
        "carat_min=-1",
        "carat_min=NaN",
        "carat_min=Infinity",
        "carat_min=1_0",
        "carat_min=1,5",
        "carat_min=10000",
        "carat_min=1e99",
        "price_min=12.50",
        "price_min=-5",
        "price_max=1000000000000",
        "price_max=٣",
        "rating_min=0",
        "rating_max=11",
        "page=0",
        "page=1.0",
        "page=10001",
        "limit=0",
        "limit=101",
        "sort_by=shape",
        "sort_order=up",
        "has_image=yes",
        "shape= ",
        "shape=RO\x00UND",
        "shape=" + "X" * 51,
        "feed=a\nb",
        "ids=1",
        "ids=57c74cc7de6859ff87efb7e5ced48928",
        "certificate_number=\udcff",
        "limit=" + "9" * 5000,
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(query: str) -> None:
    name, _, value = query.partition("=")

    [problem] = refusals(query)

    assert problem.parameter == name
    assert problem.message
    assert problem.value is not None
    assert len(problem.value) <= 101
    assert problem.value.isprintable() or value == ""


def test_the_allowed_values_are_listed_with_an_unknown_grade() -> None:
    [problem] = refusals("color=D,Q1")

    assert (problem.value, problem.message) == ("Q1", "is not known")
    assert problem.allowed is not None
    assert problem.allowed[:3] == ("D", "E", "F")


def test_every_problem_is_told_at_once() -> None:
    assert [problem.parameter for problem in refusals("nonsense=1&color=Q1&limit=0")] == [
        "nonsense",
        "color",
        "limit",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("colour", "color"),
        ("carats_min", "carat_min"),
        ("pricemax", "price_max"),
        ("Shape", "shape"),
        ("limit[]", "limit"),
    ],
)
def test_an_unknown_name_is_refused_with_the_closest_one(name: str, meant: str) -> None:
    [problem] = refusals(f"{name}=1")

    assert problem.message == f"there is no such parameter; did you mean {meant}?"


def test_the_valid_names_are_listed_without_those_the_caller_may_not_use() -> None:
    [problem] = refusals("quux=1")

    assert problem.allowed == sorted(set(PARAMETERS) - {"cost_min", "cost_max"})
    with pytest.raises(InvalidParameters) as refused:
        parse("quux=1", with_cost=True)
    assert refused.value.problems[0].allowed == sorted(PARAMETERS)


def test_one_value_given_twice_is_refused() -> None:
    [problem] = refusals("limit=10&limit=20")

    assert (problem.parameter, problem.message) == ("limit", "takes one value, not several")


def test_too_many_values_are_refused() -> None:
    [problem] = refusals("certificate_number=" + ",".join(map(str, range(101))))

    assert problem.message == "takes at most 100 values; there are 101"


@pytest.mark.parametrize("what", ["carat", "price", "rating", "ratio"])
def test_a_minimum_above_its_maximum_is_refused(what: str) -> None:
    [problem] = refusals(f"{what}_min=5&{what}_max=4")

    assert (problem.parameter, problem.message) == (
        f"{what}_min",
        f"must not be above {what}_max, which is 4",
    )


def test_equal_ends_of_a_range_are_accepted() -> None:
    parse("carat_min=1&carat_max=1.00&price_min=0&price_max=0")


def test_pages_end_at_row_ten_thousand() -> None:
    assert parse("page=100&limit=100").page == 100
    [problem] = refusals("page=101&limit=100")

    assert problem.parameter == "page"
    assert "nextCursor" in problem.message


@pytest.mark.parametrize(
    "query",
    ["cost_min=1", "cost_max=1", "sort_by=feed_price", "sort_by=supplier_price_cents", "cost_min=nonsense"],
)
def test_what_tells_of_cost_needs_the_permission(query: str) -> None:
    with pytest.raises(PermissionMissing) as refused:
        parse(query)

    assert refused.value.permission == "cost"


def test_the_same_filters_written_otherwise_are_the_same_question() -> None:
    one, other = (
        parse("color=D,E&shape=round&limit=20"),
        parse("shape=Round&color[]=E&color[]=d&color=D&limit=20"),
    )

    assert one.identity == other.identity
    assert parse("color=D,E&shape=round&limit=21").identity != one.identity
    assert parse("color=D,E&shape=round&limit=20", with_cost=True).identity != one.identity


NAMES = st.sampled_from([*PARAMETERS, *(f"{name}[]" for name in PARAMETERS)]) | st.text()
VALUES = (
    st.text()
    | st.integers().map(str)
    | st.decimals(allow_nan=True).map(str)
    | st.sampled_from(["D", "true", "asc"])
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_no_query_does_more_than_be_refused(pairs: list[tuple[str, str]]) -> None:
    try:
        search = parse_search(pairs, with_cost=False)
    except (InvalidParameters, PermissionMissing):
        return
    assert {name.removesuffix("[]") for name, _ in pairs} >= set(search.filters)
