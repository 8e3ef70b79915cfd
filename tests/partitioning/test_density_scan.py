"""The scan against inventories that count as the supplier does, the measured one first of all."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.domain.selection import Selection
from diamond_opus.partitioning.density import DensityMap, reconcile
from diamond_opus.partitioning.plan import PlannedPartition, plan_partitions
from diamond_opus.partitioning.scan import DensityScan
from diamond_opus.partitioning.settings import HeatmapSettings

Bands = Sequence[tuple[int, int, int]]

# The measured natural stones, by price. Of lab-grown ones only prices per carat are known: 770,000 below 250 dollars,
# 36,413 of them from 180 to 209, 130,000 above. Taken as prices (as if each weighed one carat) they are crowded
# into fewer dollars than the real ones can be.
NATURAL: Bands = json.loads(files("diamond_opus.simulator").joinpath("density.json").read_text())["natural"][
    "dollar_value"
]["bands"]
LAB_GROWN: Bands = [
    (18, 49, 40_000),
    (50, 179, 673_587),
    (180, 209, 36_413),
    (210, 249, 20_000),
    (250, 650, 130_000),
]


class Inventory:
    """Stones by price in cents; counts whole dollars with both ends included, as the supplier does."""

    def __init__(self, natural: Sequence[int], lab_grown: Sequence[int]) -> None:
        self._prices = {
            False: np.sort(np.array(natural, np.int64)),
            True: np.sort(np.array(lab_grown, np.int64)),
        }

    def count(self, selection: Selection) -> int:
        prices = self._prices[selection.lab_grown]
        start = int(np.searchsorted(prices, selection.price_from * 100, side="left"))
        if selection.price_to is None:
            return len(prices) - start
        return int(np.searchsorted(prices, selection.price_to * 100, side="right")) - start


def spread(bands: Bands, total: int) -> list[int]:
    """``total`` prices in cents, shared among the bands by their counts, evenly within each."""
    weight = sum(count for _, _, count in bands)
    prices = list[int]()
    for start, end, count in bands:
        stones = count * total // weight
        prices += [100 * start + number * (100 * (end - start) + 100) // stones for number in range(stones)]
    return prices


def run(scan: DensityScan, count: Callable[[Selection], int]) -> list[DensityMap]:
    while asks := scan.wanted():
        scan.answer({selection: count(selection) for selection in asks})
    return scan.maps()


def calls(scan: DensityScan) -> int:
    return scan.calls(lab_grown=False) + scan.calls(lab_grown=True)


def imbalance(partitions: Sequence[PlannedPartition], *, lab_grown: bool | None = None) -> float:
    """The biggest partition over the mean."""
    sizes = [part.expected_records for part in partitions if lab_grown in (None, part.lab_grown)]
    return max(sizes) * len(sizes) / sum(sizes)


@pytest.fixture(scope="module", params=[100_000, 1_000_000])
def real(request: pytest.FixtureRequest) -> Inventory:
    total: int = request.param
    return Inventory(spread(NATURAL, total // 3), spread(LAB_GROWN, total - total // 3))


def test_the_measured_inventory_takes_few_counts_and_gives_even_partitions(real: Inventory) -> None:
    scan = DensityScan(settings := HeatmapSettings())

    partitions = plan_partitions(maps := run(scan, real.count), settings)

    assert calls(scan) <= 130
    assert len(partitions) == min(29, -(-sum(density.total for density in maps) // 5_000))
    assert imbalance(partitions, lab_grown=False) <= 1.25
    assert imbalance(partitions, lab_grown=True) <= 1.25
    assert imbalance(partitions) <= 1.3


def test_every_count_of_a_scan_is_the_suppliers_own(real: Inventory) -> None:
    for density in run(DensityScan(HeatmapSettings()), real.count):
        assert density.total == real.count(Selection(density.lab_grown))
        for cell in density.cells:
            assert cell.count == real.count(Selection(density.lab_grown, cell.price_from, cell.price_to))
        assert reconcile(density).is_complete


def test_no_price_lies_between_two_partitions(real: Inventory) -> None:
    """Bands like 0 to 499, 500 to 999 lost what asks 499.01 to 499.99, and with what is dearer 2 % of all."""
    partitions = plan_partitions(run(DensityScan(settings := HeatmapSettings()), real.count), settings)

    for lab_grown in (False, True):
        own = [part.selection() for part in partitions if part.lab_grown == lab_grown]
        with_gaps = [
            part if part.price_to is None else part.priced(part.price_from, part.price_to - 1) for part in own
        ]
        assert sum(map(real.count, own)) >= real.count(Selection(lab_grown))
        assert sum(map(real.count, with_gaps)) < real.count(Selection(lab_grown))


def test_the_fixed_mode_counts_the_dense_zone_in_the_documented_steps(real: Inventory) -> None:
    scan = DensityScan(settings := HeatmapSettings(mode="fixed", max_calls=500))

    maps = run(scan, real.count)

    for density in maps:
        edges = {cell.price_from for cell in density.cells}
        assert edges >= set(range(0, 20_000, 100))
    assert 412 <= calls(scan) <= 500
    assert imbalance(plan_partitions(maps, settings)) <= 1.3


def test_a_scan_with_fewer_counts_than_it_needs_still_ends_with_a_whole_map(real: Inventory) -> None:
    scan = DensityScan(settings := HeatmapSettings(max_calls=60))

    maps = run(scan, real.count)

    assert calls(scan) <= 60
    assert imbalance(plan_partitions(maps, settings)) <= 3


def test_too_few_counts_for_a_grid_are_not_spent_at_all(real: Inventory) -> None:
    scan = DensityScan(HeatmapSettings(max_calls=4))

    maps = run(scan, real.count)

    assert calls(scan) == 2
    assert [len(density.cells) for density in maps] == [1, 1]


def test_an_incremental_run_needs_two_counts_when_there_was_a_scan_before(real: Inventory) -> None:
    stored = [
        DensityMap.from_json(density.to_json()) for density in run(DensityScan(HeatmapSettings()), real.count)
    ]
    changed = {False: 30_000, True: 60_000}

    partitions = plan_partitions(
        [density.rescaled(changed[density.lab_grown]) for density in stored],
        HeatmapSettings().for_incremental(),
    )

    assert len(partitions) == 9
    assert sum(part.expected_records for part in partitions) == 90_000
    assert imbalance(partitions) <= 1.5


def test_an_incremental_run_without_a_scan_before_takes_at_most_twenty_counts(real: Inventory) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    scan = DensityScan(settings := HeatmapSettings().for_incremental(), updated_from=since)
    assert scan.wanted() == [Selection(False, updated_from=since), Selection(True, updated_from=since)]

    partitions = plan_partitions(run(scan, real.count), settings)

    assert calls(scan) <= 20
    assert 2 <= len(partitions) <= 9


def test_an_empty_inventory_takes_two_counts_and_is_asked_once_a_type() -> None:
    scan = DensityScan(settings := HeatmapSettings())

    partitions = plan_partitions(run(scan, lambda _: 0), settings)

    assert calls(scan) == 2
    assert [(part.partition_id, part.price_from, part.price_to) for part in partitions] == [
        ("natural-01", 0, None),
        ("lab-grown-01", 0, None),
    ]


def test_an_inventory_of_one_type_does_not_spend_counts_on_the_other() -> None:
    inventory = Inventory(spread(NATURAL, 100_000), [])
    scan = DensityScan(HeatmapSettings())

    run(scan, inventory.count)

    assert scan.calls(lab_grown=True) == 1
    assert scan.calls(lab_grown=False) > 20


def test_stones_that_all_ask_one_price_end_in_one_dollar() -> None:
    inventory = Inventory([], [123_456] * 200_000)
    scan = DensityScan(settings := HeatmapSettings())

    maps = run(scan, inventory.count)

    crowded = [cell for cell in maps[1].cells if cell.count]
    assert [(cell.price_from, cell.price_to) for cell in crowded] == [(1_234, 1_235)]
    assert calls(scan) < 60
    assert max(part.expected_records for part in plan_partitions(maps, settings)) == 200_000


def test_prices_above_the_scanned_ones_are_cut_too() -> None:
    inventory = Inventory([100 * dollars for dollars in range(300_000, 10_300_000, 100)], [])
    scan = DensityScan(settings := HeatmapSettings())

    assert imbalance(plan_partitions(run(scan, inventory.count), settings), lab_grown=False) <= 1.25


def test_what_is_not_answered_stays_wanted_and_changes_nothing() -> None:
    inventory = Inventory(spread(NATURAL, 100_000), spread(LAB_GROWN, 100_000))
    together, one_by_one = DensityScan(HeatmapSettings()), DensityScan(HeatmapSettings())
    random = Random(7)

    while asks := one_by_one.wanted():
        selection = random.choice(asks)
        one_by_one.answer({selection: inventory.count(selection)})
        assert selection not in one_by_one.wanted()

    assert one_by_one.maps() == run(together, inventory.count)


def test_answers_nobody_asked_for_are_refused_and_none_of_them_is_taken() -> None:
    scan = DensityScan(HeatmapSettings())

    with pytest.raises(ValueError, match="natural USD 0 to 7: the answer 1 is negative or was not asked for"):
        scan.answer({Selection(True): 5, Selection(False, 0, 7): 1})
    with pytest.raises(ValueError, match="natural USD 0 to up: the answer -1 is negative"):
        scan.answer({Selection(False): -1})
    assert scan.wanted() == [Selection(False), Selection(True)]


def test_a_map_cannot_be_taken_before_the_scan_is_done() -> None:
    with pytest.raises(ValueError, match="the scan still wants 2 counts"):
        DensityScan(HeatmapSettings()).maps()


prices = st.lists(
    st.one_of(st.integers(1, 3_000), st.integers(1, 60_000), st.integers(1, 60_000_000)), max_size=300
)


@given(natural=prices, lab_grown=prices, records=st.integers(1, 60), most=st.integers(2, 120))
def test_any_inventory_is_mapped_whole_within_its_counts_and_cut_evenly_where_they_suffice(
    natural: list[int], lab_grown: list[int], records: int, most: int
) -> None:
    inventory = Inventory(natural, lab_grown)
    settings = HeatmapSettings(records_per_worker=records, min_records_per_worker=1, max_calls=most)
    scan = DensityScan(settings)

    maps = run(scan, inventory.count)
    partitions = plan_partitions(maps, settings)

    assert calls(scan) <= most
    for density in maps:
        assert density.total == inventory.count(Selection(density.lab_grown))
        assert reconcile(density).is_complete
        heaviest = max((cell for cell in density.cells), key=lambda cell: cell.count)
        is_one_dollar = heaviest.price_to is not None and heaviest.price_to - heaviest.price_from == 1
        if calls(scan) <= most - 8 and not is_one_dollar:
            own = [part.expected_records for part in partitions if part.lab_grown == density.lab_grown]
            # A handful of stones cannot be cut more evenly than by one stone.
            assert max(own) * len(own) <= 1.25 * sum(own) + len(own)


@given(seed=st.integers(), records=st.integers(1, 100))
def test_a_supplier_whose_counts_contradict_each_other_cannot_keep_the_scan_from_ending(
    seed: int, records: int
) -> None:
    random = Random(seed)
    settings = HeatmapSettings(records_per_worker=records, min_records_per_worker=1)
    scan = DensityScan(settings)

    maps = run(scan, lambda _: random.randrange(1_000))

    assert calls(scan) <= 200
    for density in maps:
        assert all(cell.price_to == following.price_from for cell, following in pairwise(density.cells))
    assert 2 <= len(plan_partitions(maps, settings)) <= 29
