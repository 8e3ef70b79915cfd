"""Batches tuned by what they take against fixed ones, over the same stones in one database, in interleaved pairs."""

import time
from dataclasses import replace
from statistics import median, quantiles

from benchmarks.world import load_raw, world
from diamond_opus.consolidate.drain import Drain
from diamond_opus.consolidate.tuning import Choice, Tuning
from diamond_opus.runs import consolidating
from diamond_opus.runs.model import Run
from diamond_opus.wiring import NIVODA, Pipeline

_PAIRS = 20
_BATCH_SIZE = 2000
#: What suits two cores, and what does not.
_CAPS = (2, 8)


class _Fixed(Tuning):
    """The caps, whatever batches take."""

    def __init__(self, choice: Choice) -> None:
        super().__init__(largest_batch=choice.batch_size, most_lanes=choice.concurrency)
        self._choice = choice

    @property
    def choice(self) -> Choice:
        return self._choice

    settled = choice


async def measure(rows: int, _sessions: int, batch_size: int | None) -> dict[str, float | int]:
    size = batch_size or _BATCH_SIZE
    figures: dict[str, float | int] = {"pairs": _PAIRS}
    async with world(rows, max(_CAPS), size) as (pipeline, _):
        run_id = await load_raw(pipeline)
        async with pipeline.pool.connection() as conn:
            run = await consolidating.join_consolidation(conn, run_id)
        for cap in _CAPS:
            await _seconds(
                pipeline, run, Choice(size, cap), is_fixed=True
            )  # the first is slower than any other
            ratios, fixed = [], []
            for pair in range(_PAIRS):
                order = (True, False) if pair % 2 == 0 else (False, True)
                took = {
                    is_fixed: await _seconds(pipeline, run, Choice(size, cap), is_fixed=is_fixed)
                    for is_fixed in order
                }
                ratios.append(took[False] / took[True])
                fixed.append(took[True])
            lower, _middle, upper = quantiles(ratios, n=4)
            figures |= {
                f"most_{cap}_fixed_seconds": median(fixed),
                f"most_{cap}_tuned_ratio": median(ratios),
                f"most_{cap}_quarter": lower,
                f"most_{cap}_three_quarters": upper,
            }
    return {"stones": rows, **figures}


async def _seconds(pipeline: Pipeline, run: Run, caps: Choice, *, is_fixed: bool) -> float:
    """What all stones take in a process that has just started; then they are pending again."""
    settings = pipeline.settings.model_copy(
        update={"consolidator_batch_size": caps.batch_size, "consolidator_concurrency": caps.concurrency}
    )
    consolidator = replace(pipeline, settings=settings).consolidator()
    if is_fixed:
        drain = Drain(
            NIVODA, largest_batch=caps.batch_size, most_lanes=caps.concurrency, clock=pipeline.clock
        )
        drain._tuning = _Fixed(caps)  # noqa: SLF001 - the product has no switch for it
        consolidator._drains[NIVODA] = drain  # noqa: SLF001
    started = time.perf_counter()
    await consolidator._drain(run)  # noqa: SLF001 - the run's end would be timed too
    seconds = time.perf_counter() - started
    async with pipeline.pool.connection() as conn:
        await conn.execute("TRUNCATE diamonds CASCADE")
        await conn.execute("UPDATE raw_diamonds SET consolidated = FALSE")
        await conn.execute("VACUUM (ANALYZE) raw_diamonds")
        await conn.execute("CHECKPOINT")
    return seconds
