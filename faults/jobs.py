"""What one of several jobs plays: its share of the seeds, on a server of its own."""

import asyncio
import itertools
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from diamond_opus.observability.logging import configure_logging
from faults.ground import Ground
from faults.play import Outcome, play
from faults.quiet import QuietHistories
from faults.report import Report
from faults.schedule import Schedule, draw

#: One of so many schedules is played by processes of the operating system.
_PROCESSES_EVERY = 8


def seeds_of(seed: int, schedules: int | None, job: int, jobs: int) -> Iterator[int]:
    """The seeds of one job: every so many-th."""
    return itertools.islice(itertools.count(seed), job, schedules, jobs)


def schedule_of(seed: int) -> Schedule:
    return draw(seed, as_processes=seed % _PROCESSES_EVERY == 0)


def be_silent() -> None:
    """Hundreds of faults make thousands of lines; ``--replay`` shows those of one schedule."""
    configure_logging(service="faults", level="ERROR")
    logging.disable(logging.CRITICAL)


def play_job(work: tuple[int, int | None, float, int, int]) -> Sequence[Outcome]:
    seed, schedules, minutes, job, jobs = work
    be_silent()
    deadline = None if schedules else time.monotonic() + minutes * 60
    return asyncio.run(_play_all(seeds_of(seed, schedules, job, jobs), deadline))


async def _play_all(seeds: Iterator[int], deadline: float | None) -> Sequence[Outcome]:
    outcomes = []
    async with Ground.open() as ground:
        quiet = QuietHistories(ground)
        for seed in seeds:
            if deadline is not None and time.monotonic() > deadline:
                break
            schedule = schedule_of(seed)
            expected = await quiet.of(schedule.timeline)
            with tempfile.TemporaryDirectory(prefix="diamond-faults-") as folder:
                outcome = await play(schedule, ground, expected, Path(folder))
            print(Report.line(outcome), file=sys.stderr, flush=True)
            outcomes.append(outcome)
    return outcomes
