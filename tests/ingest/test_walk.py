"""A walk over a list that moves: nothing that stays is lost."""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diamond_opus.ingest.walk import Pass, TooDeep

LIMIT = 10


def walk(
    rows: list[int],
    *,
    disturb: Callable[[int, list[int]], None] | None = None,
    cut: Callable[[int], int] = lambda _: LIMIT,
    passes: int = 1,
) -> set[int]:
    """Read ``rows``, letting ``disturb`` change them before each page and ``cut`` shorten pages."""
    found: set[int] = set()
    page = 0
    for _ in range(passes):
        one = Pass(page_limit=LIMIT, overlap=3, max_offset=None)
        while not one.is_over:
            if disturb:
                disturb(page, rows)
            ask = one.next_ask()
            answer = rows[ask.offset : ask.offset + min(ask.limit, cut(page))]
            one.take(ask, answer)
            found.update(answer)
            page += 1
            assert page < 2000, "the walk does not end"
    return found


def naive_walk(rows: list[int], disturb: Callable[[int, list[int]], None]) -> set[int]:
    """What a reader does who trusts offsets."""
    found: set[int] = set()
    page = offset = 0
    while True:
        disturb(page, rows)
        answer = rows[offset : offset + LIMIT]
        if not answer:
            return found
        found.update(answer)
        offset += len(answer)
        page += 1


def test_every_row_of_a_still_list_is_read() -> None:
    assert walk(list(range(57))) == set(range(57))


def test_an_empty_list_ends_with_one_page() -> None:
    one = Pass(page_limit=LIMIT, overlap=3, max_offset=None)
    one.take(one.next_ask(), [])
    assert one.is_over


def test_a_short_page_is_not_the_end() -> None:
    assert walk(list(range(57)), cut=lambda page: 4 if page % 2 else LIMIT) == set(range(57))


def test_a_page_of_nothing_but_overlap_is_not_the_end() -> None:
    assert walk(list(range(40)), cut=lambda page: 3 if page == 2 else LIMIT) == set(range(40))


def test_a_stone_removed_before_the_place_costs_no_other() -> None:
    def remove_first(page: int, rows: list[int]) -> None:
        if page in (2, 3):
            del rows[0]

    assert set(range(2, 57)) <= walk(list(range(57)), disturb=remove_first)
    lost = set(range(2, 57)) - naive_walk(list(range(57)), remove_first)
    assert lost, "a walk without overlap would have lost some"


def test_more_removed_than_a_page_holds_costs_no_other() -> None:
    def remove_many(page: int, rows: list[int]) -> None:
        if page == 4:
            del rows[:25]

    assert set(range(25, 80)) <= walk(list(range(80)), disturb=remove_many)


def test_the_end_of_a_list_that_shrank_is_not_taken_for_its_end() -> None:
    def shrink(page: int, rows: list[int]) -> None:
        if page == 3:
            del rows[:24]

    assert set(range(24, 34)) <= walk(list(range(34)), disturb=shrink)


def test_a_row_that_slips_in_behind_the_place_is_found_by_the_next_pass() -> None:
    def slip_in(page: int, rows: list[int]) -> None:
        if page == 3:
            rows.insert(0, 99)

    assert 99 not in walk(list(range(57)), disturb=slip_in)
    assert 99 in walk(list(range(57)), disturb=slip_in, passes=2)


def test_rows_without_identity_do_not_stop_the_walk() -> None:
    one = Pass(page_limit=LIMIT, overlap=3, max_offset=None)
    rows = [i if i % 4 else None for i in range(35)]
    pages = 0
    while not one.is_over:
        ask = one.next_ask()
        one.take(ask, rows[ask.offset : ask.offset + ask.limit])
        pages += 1
        assert pages < 20


def test_a_place_beyond_the_allowed_depth_says_so() -> None:
    one = Pass(page_limit=LIMIT, overlap=3, max_offset=12)
    for _ in range(2):
        ask = one.next_ask()
        one.take(ask, list(range(ask.offset, ask.offset + LIMIT)))
    with pytest.raises(TooDeep):
        one.next_ask()


@st.composite
def churn(draw: st.DrawFn) -> tuple[int, list[tuple[int, float, str]], list[int]]:
    size = draw(st.integers(0, 120))
    events = draw(
        st.lists(
            st.tuples(st.integers(0, 30), st.floats(0, 1), st.sampled_from(["remove", "swap"])), max_size=25
        )
    )
    cuts = draw(st.lists(st.integers(1, LIMIT), min_size=1, max_size=10).filter(lambda cuts: max(cuts) > 3))
    return size, events, cuts


@settings(max_examples=300, deadline=None)
@given(churn())
@example((90, [], [1, 1, 1, 1, 4, 1]))  # pages so short that nearly all of them are nothing but overlap
def test_no_row_that_stays_is_lost_whatever_leaves(
    case: tuple[int, list[tuple[int, float, str]], list[int]],
) -> None:
    size, events, cuts = case
    rows = list(range(size))
    removed: set[int] = set()

    def disturb(page: int, rows: list[int]) -> None:
        for at, where, what in events:
            if at != page or not rows:
                continue
            index = int(where * (len(rows) - 1))
            if what == "remove":
                removed.add(rows.pop(index))
            elif index + 1 < len(rows):  # a tie in unstable order
                rows[index], rows[index + 1] = rows[index + 1], rows[index]

    found = walk(rows, disturb=disturb, cut=lambda page: cuts[page % len(cuts)], passes=2)
    assert set(range(size)) - removed <= found
