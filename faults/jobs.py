"""What one of several jobs plays: the next seed as soon as it is free, on a server of its own."""

import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from diamond_opus.observability.logging import configure_logging
from faults.ground import Ground
from faults.play import Outcome, play
from faults.quiet import QuietHistories
from faults.report import Report
from faults.schedule import Schedule, draw

#: One of so many schedules is played by processes of the operating system.
_PROCESSES_EVERY = 10

_turn: "Synchronized[int]"


def take_turns(turn: "Synchronized[int]") -> None:
    """How a job begins: with the number of the next schedule, which all jobs share."""
    global _turn
    _turn = turn


def next_seeds(seed: int, schedules: int | None) -> Iterator[int]:
    """From ``seed`` on, each by one job only; schedules take from 4 s to 60, so none is anybody's beforehand."""
    while True:
        with _turn.get_lock():
            number, _turn.value = _turn.value, _turn.value + 1
        if schedules is not None and number >= schedules:
            return
        yield seed + number


def schedule_of(seed: int) -> Schedule:
    return draw(seed, as_processes=seed % _PROCESSES_EVERY == 0)


def be_silent() -> None:
    """Hundreds of faults make thousands of lines; ``--replay`` shows those of one schedule."""
    configure_logging(service="faults", level="ERROR")
    logging.disable(logging.CRITICAL)


def play_job(work: tuple[int, int | None, float, Path, bool]) -> Sequence[Outcome]:
    seed, schedules, minutes, shared, as_shipped = work
    be_silent()
    deadline = None if schedules else time.monotonic() + minutes * 60
    return asyncio.run(_play_all(next_seeds(seed, schedules), deadline, shared, as_shipped=as_shipped))


async def _play_all(
    seeds: Iterator[int], deadline: float | None, shared: Path, *, as_shipped: bool
) -> Sequence[Outcome]:
    outcomes = []
    async with Ground.open() as ground:
        quiet = QuietHistories(ground, shared)
        for seed in seeds:
            if deadline is not None and time.monotonic() > deadline:
                break
            schedule = schedule_of(seed)
            expected = await quiet.of(schedule.timeline)
            with tempfile.TemporaryDirectory(prefix="diamond-faults-") as folder:
                outcome = await play(schedule, ground, expected, Path(folder), as_shipped=as_shipped)
            print(Report.line(outcome), file=sys.stderr, flush=True)
            outcomes.append(outcome)
    return outcomes
