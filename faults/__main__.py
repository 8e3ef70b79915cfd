"""``python -m faults``: play schedules until the time is over or their number is reached, and print what happened.

python -m faults --schedules 200 --jobs 6     so many; every tenth schedule with real processes
python -m faults --minutes 60 --seed 1000     the long mode
python -m faults --replay 17                  one schedule again, with the log of every part
python -m faults --replay 17 --processes      the same with real processes
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diamond_opus.observability.logging import configure_logging
from faults.ground import Ground
from faults.jobs import be_silent, play_job, take_turns
from faults.mutants import MUTANTS, notice
from faults.play import Outcome, play
from faults.quiet import QuietHistories
from faults.report import Report
from faults.schedule import draw


def main() -> int:
    arguments = _parse()
    if arguments.mutants is not None:
        return asyncio.run(_try_mutants(arguments.mutants))
    if arguments.replay is not None:
        return _replay(arguments)
    started = time.monotonic()
    report = Report()
    jobs = min(arguments.jobs, arguments.schedules or arguments.jobs)
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="diamond-faults-") as shared,
        context.Pool(jobs, take_turns, (context.Value("l", 0),)) as pool,
    ):
        what = (arguments.seed, arguments.schedules, arguments.minutes, Path(shared), arguments.as_shipped)
        work = [what] * jobs
        for outcomes in pool.imap_unordered(play_job, work):
            for outcome in outcomes:
                report.add(outcome)
    report.seconds = time.monotonic() - started
    print(json.dumps(report.as_json()) if arguments.json else report.as_text())
    return 0 if report.is_good else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--schedules", type=int, help="how many schedules; without it --minutes decides")
    parser.add_argument("--minutes", type=float, default=10, help="how long, when no number is given")
    parser.add_argument("--seed", type=int, default=0, help="the first schedule's seed; the others follow it")
    parser.add_argument("--jobs", type=int, default=4, help="how many are played at once")
    parser.add_argument("--replay", type=int, metavar="SEED", help="play this one schedule and show its log")
    parser.add_argument(
        "--mutants",
        nargs="*",
        metavar="NAME",
        help="try the broken variants (all, or those named): each must be noticed",
    )
    parser.add_argument("--processes", action="store_true", help="with --replay: by real processes")
    parser.add_argument("--as-shipped", action="store_true", help="every lease and time-out as by default")
    parser.add_argument("--json", action="store_true", help="print the report as one line of JSON")
    return parser.parse_args()


def _replay(arguments: argparse.Namespace) -> int:
    configure_logging(service="faults", level="INFO")
    outcome = asyncio.run(_replay_one(arguments))
    print(Report.line(outcome), flush=True)
    return 0 if outcome.is_good else 1


async def _try_mutants(names: Sequence[str]) -> int:
    be_silent()
    unnoticed = 0
    async with Ground.open() as ground:
        quiet = QuietHistories(ground)
        for name in names or MUTANTS:
            started = time.monotonic()
            noticed = await notice(MUTANTS[name], ground, quiet)
            print(
                f"{name} ({MUTANTS[name].broken}) {time.monotonic() - started:.0f} s: {noticed or 'NOT NOTICED'}",
                flush=True,
            )
            unnoticed += noticed is None
    print(f"{len(names or MUTANTS) - unnoticed} passed, {unnoticed} failed")
    return 1 if unnoticed else 0


async def _replay_one(arguments: argparse.Namespace) -> Outcome:
    schedule: Any = draw(arguments.replay, as_processes=arguments.processes)
    async with Ground.open() as ground:
        expected = await QuietHistories(ground).of(schedule.timeline)
        folder = Path(tempfile.mkdtemp(prefix="diamond-faults-"))
        print(f"{schedule}; the logs of its processes are in {folder}", file=sys.stderr)
        return await play(schedule, ground, expected, folder, as_shipped=arguments.as_shipped)


if __name__ == "__main__":
    sys.exit(main())
