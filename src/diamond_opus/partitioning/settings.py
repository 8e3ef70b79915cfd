"""The heatmap's constants: how finely an inventory is counted and into how many partitions it is cut."""

from dataclasses import dataclass, fields, replace
from typing import Literal

from diamond_opus.partitioning.ranges import Range, ranges_between


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatmapSettings:
    """Prices are whole dollars, sizes are stones; the defaults are SPEC's constants where it has any.

    ``max_workers`` counts partitions, one of which is left for the catch-up that follows a full run. A
    partition is meant to hold ``records_per_worker`` stones, more when there are too many stones for
    ``max_workers``, and on average never fewer than ``min_records_per_worker``.

    The scan counts until every cut between partitions lies within one part in ``cut_accuracy`` of a partition
    from its ideal place, or until ``max_calls`` counts are spent. With 8 a partition is at most a quarter
    bigger than the mean of its type, unless a single dollar holds more.

    In the mode "bisect" the first ranges start ``initial_step`` wide and double. In the mode "fixed" the
    dense zone (below ``dense_zone_threshold``) is counted in steps of ``dense_zone_step``, as SPEC describes:
    200 counts a type, most of which decide nothing. In both, only ranges in which a cut has to lie are cut
    further, and none below ``dense_zone_step`` before that is known not to be enough.

    Raises ValueError, naming the setting, for values that cannot work together.
    """

    mode: Literal["bisect", "fixed"] = "bisect"
    dense_zone_threshold: int = 20_000
    dense_zone_step: int = 100
    initial_step: int = 500
    max_price: int = 250_000
    max_workers: int = 30
    incremental_max_workers: int = 10
    records_per_worker: int = 5_000
    min_records_per_worker: int = 1_000
    cut_accuracy: int = 8
    max_calls: int = 200
    incremental_max_calls: int = 20

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "mode" and value < 1:
                raise ValueError(f"{field.name} is {value}, allowed is 1 or more")
        for name in ("max_workers", "incremental_max_workers"):
            if getattr(self, name) < 3:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, allowed is 3 or more: one partition for natural"
                    " stones, one for lab-grown ones and one for the catch-up"
                )
        if not self.dense_zone_threshold < self.max_price:
            raise ValueError(
                f"dense_zone_threshold is {self.dense_zone_threshold},"
                f" allowed is less than max_price, which is {self.max_price}"
            )
        needed = 2 * len(self.first_ranges()) + 2
        if self.mode == "fixed" and self.max_calls < needed:
            raise ValueError(
                f"max_calls is {self.max_calls}, but the mode fixed starts with {needed} counts (2 types,"
                f" {self.dense_zone_threshold} dollars in steps of {self.dense_zone_step}): allow as many,"
                " widen dense_zone_step or use the mode bisect"
            )

    def first_ranges(self) -> list[Range]:
        """The ranges counted first: they share their edges and cover 0 to open.

        >>> HeatmapSettings(dense_zone_threshold=2_000, max_price=6_000).first_ranges()
        [(0, 500), (500, 1000), (1000, 2000), (2000, 4000), (4000, 6000), (6000, None)]
        """
        edges = {0, self.dense_zone_threshold, self.max_price}
        step = self.initial_step
        while step < self.max_price:
            edges.add(step)
            step *= 2
        if self.mode == "fixed":
            edges = {edge for edge in edges if edge >= self.dense_zone_threshold}
            edges.update(range(0, self.dense_zone_threshold, self.dense_zone_step))
        return ranges_between(sorted(edges))

    def for_incremental(self) -> "HeatmapSettings":
        """The same for a run of changes: fewer partitions and hardly any counts."""
        return replace(
            self,
            mode="bisect",
            max_workers=min(self.max_workers, self.incremental_max_workers),
            max_calls=min(self.max_calls, self.incremental_max_calls),
        )
