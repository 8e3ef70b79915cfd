"""Splitting what is too big to be read: the pieces lose no stone, and the splitting comes to an end."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.domain.selection import Selection
from diamond_opus.partitioning.reading import Dimension, ReadDeep, Split, children_cover, split_for_reading

SHAPES = ["ROUND", "OVAL", "PEAR", "EMERALD", "HEART"]
COLORS = ["D", "E", "F", "FANCY"]


class Stone(NamedTuple):
    price_cents: int
    carats: int
    shape: str
    color: str


def selects(selection: Selection, stone: Stone) -> bool:
    """As the supplier selects: every end of a range is included."""
    return (
        selection.price_from * 100 <= stone.price_cents
        and (selection.price_to is None or stone.price_cents <= selection.price_to * 100)
        and (selection.carats_from is None or selection.carats_from <= stone.carats)
        and (selection.carats_to is None or stone.carats <= selection.carats_to)
        and (selection.shapes is None or stone.shape in selection.shapes)
        and (selection.colors is None or stone.color in selection.colors)
    )


def split(selection: Selection, count: int, after: Dimension | None = None) -> Split | ReadDeep:
    return split_for_reading(selection, count, 900, shapes=SHAPES, colors=COLORS, after=after)


def split_into_children(selection: Selection, count: int, after: Dimension | None = None) -> Split:
    result = split(selection, count, after)
    assert isinstance(result, Split)
    return result


stones = st.builds(
    Stone,
    price_cents=st.one_of(st.integers(1, 10_000), st.integers(1, 10_000_000), st.integers(1, 2**31 * 100)),
    carats=st.integers(1, 3_000),
    shape=st.sampled_from(SHAPES),
    color=st.sampled_from(COLORS),
)


@st.composite
def selections_of(draw: st.DrawFn, stone: Stone) -> Selection:
    """A selection that the splitting itself could have made, with ``stone`` in it."""
    dollars = stone.price_cents // 100
    price_from = draw(st.integers(0, dollars))
    carats_from = draw(st.none() | st.integers(1, stone.carats))
    return Selection(
        lab_grown=draw(st.booleans()),
        price_from=price_from,
        price_to=draw(st.none() | st.integers(dollars + 1, dollars + 10_000)),
        carats_from=carats_from,
        carats_to=draw(st.none() | st.integers(max(stone.carats, (carats_from or 0) + 1), 10_000)),
        shapes=draw(
            st.none()
            | st.sets(st.sampled_from(SHAPES)).map(lambda names: tuple(sorted({*names, stone.shape})))
        ),
        colors=draw(st.none() | st.just((stone.color,))),
    )


@given(
    data=st.data(), stone=stones, count=st.integers(901, 60_000), after=st.none() | st.sampled_from(Dimension)
)
def test_every_stone_of_a_selection_is_in_one_of_its_parts(
    data: st.DataObject, stone: Stone, count: int, after: Dimension | None
) -> None:
    selection = data.draw(selections_of(stone))
    result = split(selection, count, after)

    if isinstance(result, ReadDeep):
        return
    assert 2 <= len(result.children) <= 8
    assert any(selects(child, stone) for child in result.children)
    assert after is None or result.dimension.value > after.value


@given(data=st.data(), stone=stones, count=st.integers(901, 60_000))
def test_every_part_is_smaller_than_the_whole_and_ranges_share_their_edges(
    data: st.DataObject, stone: Stone, count: int
) -> None:
    selection = data.draw(selections_of(stone))
    result = split(selection, count)

    if isinstance(result, ReadDeep):
        return
    ranges: Sequence[tuple[int | None, int | None]]
    whole: tuple[int | None, int | None]
    match result.dimension:
        case Dimension.PRICE:
            ranges = [(child.price_from, child.price_to) for child in result.children]
            whole = (selection.price_from, selection.price_to)
        case Dimension.CARATS:
            ranges = [(child.carats_from, child.carats_to) for child in result.children]
            whole = (selection.carats_from, selection.carats_to)
        case Dimension.SHAPE:
            names = [name for child in result.children for name in child.shapes or ()]
            assert sorted(names) == sorted(selection.shapes or SHAPES)
            return
        case Dimension.COLOR:
            names = [name for child in result.children for name in child.colors or ()]
            assert sorted(names) == sorted(selection.colors or COLORS)
            return
    assert (ranges[0][0], ranges[-1][1]) == whole
    for (start, end), (following, _) in pairwise(ranges):
        assert end == following
        assert end is not None
        assert (start or 0) < end


@given(data=st.data(), count=st.integers(901, 10**7))
def test_splitting_ends_even_when_every_part_is_as_full_as_the_whole(data: st.DataObject, count: int) -> None:
    selection = Selection(data.draw(st.booleans()))
    for _ in range(120):
        result = split(selection, count)
        if isinstance(result, ReadDeep):
            assert str(selection) in result.reason
            assert f"{count} stones are more than 900" in result.reason
            return
        assert selection not in result.children
        selection = data.draw(st.sampled_from(result.children))
    pytest.fail(f"still splitting at {selection}")


def test_a_range_of_dollars_is_bisected_as_often_as_its_count_asks_for() -> None:
    selection = Selection(False, 100, 300)

    assert [child.price_to for child in split_into_children(selection, 1_800).children] == [200, 300]
    assert [child.price_to for child in split_into_children(selection, 1_801).children] == [
        150,
        200,
        250,
        300,
    ]
    assert len(split_into_children(selection, 1_000_000).children) == 8


def test_an_open_range_is_cut_where_it_doubles() -> None:
    ends = [child.price_to for child in split_into_children(Selection(False), 3_000).children]
    assert ends == [500, 1_000, 2_000, None]

    ends = [child.price_to for child in split_into_children(Selection(False, 250_000), 1_000).children]
    assert ends == [500_000, None]


def test_a_single_dollar_is_split_by_carats_then_shape_then_color() -> None:
    dollar = Selection(True, 100, 101)
    by_carats = split_into_children(dollar, 1_000)
    assert by_carats.dimension is Dimension.CARATS
    assert [(child.carats_from, child.carats_to) for child in by_carats.children] == [
        (None, 100),
        (100, None),
    ]

    hundredth = replace(dollar, carats_from=100, carats_to=101)
    by_shape = split_into_children(hundredth, 1_000)
    assert [child.shapes for child in by_shape.children] == [("ROUND", "OVAL"), ("PEAR", "EMERALD", "HEART")]

    round_ones = replace(hundredth, shapes=("ROUND",))
    by_color = split_into_children(round_ones, 1_000)
    assert [child.colors for child in by_color.children] == [("D", "E"), ("F", "FANCY")]


def test_what_nothing_can_split_is_read_deep_and_says_so() -> None:
    result = split(Selection(True, 100, 101, 100, 101, ("ROUND",), ("D",)), 1_234)

    assert isinstance(result, ReadDeep)
    assert result.reason == (
        "lab-grown USD 100 to 101, 1.00 to 1.01 ct, 1 shapes, 1 colors: 1234 stones are more than 900,"
        " and no price, carats, shape or color is left to split them by"
    )


def test_what_fits_is_not_split() -> None:
    with pytest.raises(ValueError, match="900 stones fit the limit of 900"):
        split(Selection(True), 900)


def test_a_dimension_that_hides_stones_is_noticed_and_passed_over() -> None:
    crowd = [Stone(10_050, 100, "LOZENGE", COLORS[number % 4]) for number in range(2_000)]
    hundredth = Selection(True, 100, 101, 100, 101)

    by_shape = split_into_children(hundredth, len(crowd))
    found = [sum(selects(child, stone) for stone in crowd) for child in by_shape.children]
    assert (by_shape.dimension, children_cover(len(crowd), found)) == (Dimension.SHAPE, False)

    by_color = split_into_children(hundredth, len(crowd), after=by_shape.dimension)
    found = [sum(selects(child, stone) for stone in crowd) for child in by_color.children]
    assert (by_color.dimension, children_cover(len(crowd), found)) == (Dimension.COLOR, True)


def test_a_crowded_inventory_is_read_in_small_pieces_without_losing_a_stone() -> None:
    random = Random(3)
    inventory = [
        Stone(
            price_cents=random.choice([10_000, 10_050, random.randrange(100, 200_000)]),
            carats=random.choice([100, random.randrange(18, 500)]),
            shape=random.choice(SHAPES),
            color=random.choice(COLORS),
        )
        for _ in range(20_000)
    ]
    found, counts, leaves = set[int](), 1, 0
    pieces = [(Selection(False), list(range(len(inventory))))]
    while pieces:
        selection, stones_in_it = pieces.pop()
        if len(stones_in_it) <= 900:
            found.update(stones_in_it)
            leaves += 1
            continue
        result = split_into_children(selection, len(stones_in_it))
        children = [
            (child, [number for number in stones_in_it if selects(child, inventory[number])])
            for child in result.children
        ]
        counts += len(children)
        assert children_cover(len(stones_in_it), [len(stones) for _, stones in children])
        pieces += children

    assert found == set(range(len(inventory)))
    # 23 pieces of 900 would do, did not two thirds of the stones share two prices and half of them one weight.
    assert leaves <= 140
    assert counts <= 180
