"""Density maps: always without gaps, honest about their sums, and the same after storage."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.partitioning.density import DensityCell, DensityMap, reconcile


@st.composite
def maps(draw: st.DrawFn) -> DensityMap:
    edges = sorted(draw(st.sets(st.integers(1, 300_000), max_size=20)))
    ranges = [*pairwise([0, *edges]), ([0, *edges][-1], None)]
    cells = tuple(DensityCell(start, end, draw(st.integers(0, 50_000))) for start, end in ranges)
    return DensityMap(draw(st.booleans()), draw(st.integers(0, 1_000_000)), cells)


@pytest.mark.parametrize(
    "cells",
    [
        [],
        [DensityCell(1, None, 0)],
        [DensityCell(0, 100, 0)],
        [DensityCell(0, 100, 0), DensityCell(101, None, 0)],
        [DensityCell(0, 100, 0), DensityCell(99, None, 0)],
        [DensityCell(0, 0, 0), DensityCell(0, None, 0)],
        [DensityCell(0, None, 0), DensityCell(0, None, 0)],
        [DensityCell(0, None, -1)],
    ],
)
def test_a_map_with_a_gap_an_overlap_or_an_end_is_refused(cells: list[DensityCell]) -> None:
    with pytest.raises(ValueError, match="a density map must"):
        DensityMap(False, 0, tuple(cells))


@given(density=maps())
def test_a_stored_map_comes_back_as_it_was(density: DensityMap) -> None:
    assert DensityMap.from_json(json.loads(json.dumps(density.to_json()))) == density


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"lab_grown": True, "total": 1, "cells": None},
        {"lab_grown": True, "total": 1, "cells": [[0, None]]},
        {"lab_grown": True, "total": 1, "cells": [["0", "9", 1], ["9", None, 1]]},
        {"lab_grown": True, "total": 1, "cells": [[0, 100, 1]]},
    ],
)
def test_what_is_no_stored_map_is_refused(stored: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="density"):
        DensityMap.from_json(stored)


@given(density=maps(), total=st.integers(0, 3_000_000))
def test_a_rescaled_map_keeps_its_shape_and_sums_exactly(density: DensityMap, total: int) -> None:
    rescaled = density.rescaled(total)

    assert (rescaled.lab_grown, rescaled.total, rescaled.counted) == (density.lab_grown, total, total)
    if density.counted:
        for before, after in zip(density.cells, rescaled.cells, strict=True):
            assert (before.price_from, before.price_to) == (after.price_from, after.price_to)
            assert abs(after.count - before.count * total / density.counted) < 1.001


def test_ranges_that_agree_with_the_total_are_complete() -> None:
    result = reconcile(DensityMap.whole(False, 10))

    assert result.is_complete
    assert str(result) == "natural: 10 stones counted by price, 10 without a price filter: they agree"


def test_stones_at_a_shared_edge_are_a_surplus_and_no_fault() -> None:
    result = reconcile(DensityMap(True, 1_000, (DensityCell(0, 500, 600), DensityCell(500, None, 430))))

    assert (result.surplus, result.shortfall, result.is_complete) == (30, 0, True)
    assert "30 more, as stones priced at exactly an edge count in both ranges" in str(result)


@pytest.mark.parametrize(("missing", "tolerated"), [(1, True), (52, True), (53, False)])
def test_stones_in_no_range_are_flagged_and_told_from_movement(missing: int, tolerated: bool) -> None:
    result = reconcile(DensityMap(False, 10_000, (DensityCell(0, None, 10_000 - missing),)))

    assert (result.shortfall, result.is_complete, result.is_within_tolerance) == (missing, False, tolerated)
    cause = "within a moving inventory's tolerance" if tolerated else "too many to be movement"
    assert str(result).endswith(f"{missing} are in no price range, {cause}")
