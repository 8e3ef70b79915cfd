"""Constants of the heatmap that cannot work together are refused by name."""

from typing import Any

import pytest

from diamond_opus.partitioning.settings import HeatmapSettings


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"dense_zone_step": 0}, "dense_zone_step is 0, allowed is 1 or more"),
        ({"records_per_worker": -1}, "records_per_worker is -1, allowed is 1 or more"),
        ({"max_workers": 2}, "max_workers is 2, allowed is 3 or more"),
        ({"incremental_max_workers": 1}, "incremental_max_workers is 1, allowed is 3 or more"),
        ({"max_price": 20_000}, "dense_zone_threshold is 20000, allowed is less than max_price"),
        ({"mode": "fixed"}, "max_calls is 200, but the mode fixed starts with 412 counts"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(values: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        HeatmapSettings(**values)


def test_the_fixed_mode_steps_through_the_dense_zone_as_documented() -> None:
    ranges = HeatmapSettings(mode="fixed", max_calls=500).first_ranges()

    assert ranges[:200] == [(dollars, dollars + 100) for dollars in range(0, 20_000, 100)]
    assert ranges[200:] == [
        (20_000, 32_000),
        (32_000, 64_000),
        (64_000, 128_000),
        (128_000, 250_000),
        (250_000, None),
    ]


def test_an_incremental_run_has_fewer_partitions_and_few_counts_but_never_more_than_a_full_one() -> None:
    incremental = HeatmapSettings().for_incremental()
    assert (incremental.max_workers, incremental.max_calls) == (10, 20)

    small = HeatmapSettings(max_workers=4, max_calls=10).for_incremental()
    assert (small.max_workers, small.max_calls) == (4, 10)
