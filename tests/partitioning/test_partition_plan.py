"""Partitions: contiguous, covering, as many as wanted, and as even as the counted ranges allow."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.domain.selection import Selection
from diamond_opus.partitioning.density import DensityCell, DensityMap
from diamond_opus.partitioning.plan import PlannedPartition, plan_partitions, share_partitions
from diamond_opus.partitioning.settings import HeatmapSettings


def density(lab_grown: bool, counts: list[int]) -> DensityMap:
    """A map with these counts in steps of 100 dollars."""
    last = len(counts) - 1
    cells = [
        DensityCell(100 * index, None if index == last else 100 * (index + 1), count)
        for index, count in enumerate(counts)
    ]
    return DensityMap(lab_grown, sum(counts), tuple(cells))


counts = st.lists(
    st.one_of(st.just(0), st.integers(0, 500), st.integers(0, 100_000)), min_size=1, max_size=60
)
settings = st.builds(
    HeatmapSettings,
    max_workers=st.integers(3, 40),
    records_per_worker=st.integers(1, 10_000),
    min_records_per_worker=st.integers(1, 10_000),
)


@given(natural=counts, lab_grown=counts, settings=settings)
def test_partitions_cover_each_type_once_with_shared_edges(
    natural: list[int], lab_grown: list[int], settings: HeatmapSettings
) -> None:
    maps = [density(False, natural), density(True, lab_grown)]

    partitions = plan_partitions(maps, settings)

    assert 2 <= len(partitions) <= settings.max_workers - 1
    assert len({part.partition_id for part in partitions}) == len(partitions)
    for scanned in maps:
        own = [part for part in partitions if part.lab_grown == scanned.lab_grown]
        assert (own[0].price_from, own[-1].price_to) == (0, None)
        assert all(part.price_to == following.price_from for part, following in pairwise(own))
        assert all(part.price_to is None or part.price_from < part.price_to for part in own)
        assert sum(part.expected_records for part in own) == scanned.counted
    assert plan_partitions(maps, settings) == partitions


@given(natural=counts, settings=settings)
def test_no_partition_is_more_than_one_cell_bigger_than_it_should_be(
    natural: list[int], settings: HeatmapSettings
) -> None:
    scanned = density(False, natural)
    [share] = share_partitions([scanned.total], settings)

    for part in plan_partitions([scanned], settings):
        assert part.expected_records * share <= scanned.total + max(natural) * share


@given(totals=st.lists(st.integers(0, 3_000_000), min_size=1, max_size=2), settings=settings)
def test_shares_follow_the_settings(totals: list[int], settings: HeatmapSettings) -> None:
    shares = share_partitions(totals, settings)

    assert min(shares) >= 1
    assert sum(shares) <= settings.max_workers - 1
    if sum(shares) > len(totals):
        assert sum(totals) / sum(shares) >= settings.min_records_per_worker
        assert sum(shares) <= -(-sum(totals) // settings.records_per_worker)


@pytest.mark.parametrize(
    ("totals", "shares"),
    [
        ([0, 0], [1, 1]),
        ([5_000, 0], [1, 1]),
        ([5_000, 5_001], [1, 2]),
        ([50_000, 100_000], [10, 19]),
        ([10_000_000, 0], [28, 1]),
        ([10_000_000], [29]),
        ([0, 10_000_000], [1, 28]),
        ([700_000, 700_000], [15, 14]),
    ],
)
def test_types_share_the_partitions_by_their_size(totals: list[int], shares: list[int]) -> None:
    assert share_partitions(totals, HeatmapSettings()) == shares


def test_small_partitions_are_not_worth_a_worker() -> None:
    settings = HeatmapSettings(records_per_worker=100, min_records_per_worker=1_000)

    assert share_partitions([3_500], settings) == [3]


def test_a_cell_bigger_than_a_partition_makes_fewer_partitions_and_no_empty_one() -> None:
    partitions = plan_partitions([density(True, [100_000, 10, 10, 10])], HeatmapSettings())

    assert partitions == [
        PlannedPartition("lab-grown-01", True, 0, 100, 100_000),
        PlannedPartition("lab-grown-02", True, 100, None, 30),
    ]


def test_two_maps_of_one_type_are_refused() -> None:
    with pytest.raises(ValueError, match="every type of stone must have one density map"):
        plan_partitions([density(True, [1]), density(True, [1])], HeatmapSettings())


def test_a_partition_selects_what_it_covers() -> None:
    partition = PlannedPartition("natural-01", False, 0, 500, 7)

    assert partition.selection() == Selection(False, 0, 500)
