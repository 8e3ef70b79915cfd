"""Asks the counts that a density scan wants, a few at once, until it wants no more."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diamond_opus.feeds.protocol import StoneSource
from diamond_opus.observability.logging import get_logger
from diamond_opus.partitioning.density import DensityMap, reconcile
from diamond_opus.partitioning.scan import DensityScan
from diamond_opus.partitioning.settings import HeatmapSettings

log = get_logger("schedule")

#: How many counts are asked at once while planning; the request budget decides how fast they go out.
_CONCURRENT_COUNTS = 4

#: Told how many counts are done and how many are wanted, for a progress bar.
OnCount = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Scan:
    """A density map and what it cost."""

    density: DensityMap
    api_calls: int


async def count_density(
    source: StoneSource,
    settings: HeatmapSettings,
    *,
    types: Sequence[bool] = (False, True),
    on_count: OnCount | None = None,
) -> Sequence[Scan]:
    """One scan for each type; ``types`` are values of ``lab_grown``. Raises what the source raises."""
    scan = DensityScan(settings, types=types)
    done = 0
    while wanted := scan.wanted():
        asks = wanted[:_CONCURRENT_COUNTS]
        counts = await asyncio.gather(*(source.count(selection) for selection in asks))
        scan.answer(dict(zip(asks, counts, strict=True)))
        done += len(asks)
        if on_count:
            on_count(done, done + len(scan.wanted()))
    maps = scan.maps()
    for density in maps:
        log.info("density_reconciled", feed=source.name, result=str(reconcile(density)))
    return [Scan(density, scan.calls(lab_grown=density.lab_grown)) for density in maps]
