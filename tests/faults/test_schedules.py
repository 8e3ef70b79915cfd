"""A few of the harness's schedules, so that every run of the tests plays some; CI plays hundreds."""

from pathlib import Path

import pytest

from faults.ground import Ground
from faults.jobs import schedule_of
from faults.mutants import MUTANTS, notice
from faults.play import play
from faults.quiet import QuietHistories
from faults.report import Report

#: One where the supplier moves, one of each first run, and one by real processes.
SEEDS = (1, 2, 3, 10)


@pytest.mark.long  # several whole runs over 5,000 stones, with a database server and processes that die in them
@pytest.mark.timeout(400)
async def test_nothing_is_lost_doubled_or_left_unfinished_whatever_breaks(tmp_path: Path) -> None:
    async with Ground.open() as ground:
        quiet = QuietHistories(ground)
        for seed in SEEDS:
            schedule = schedule_of(seed)
            folder = tmp_path / str(seed)
            folder.mkdir()
            outcome = await play(schedule, ground, await quiet.of(schedule.timeline), folder)
            assert outcome.is_good, Report.line(outcome)
            assert len(+outcome.injected) >= 3


@pytest.mark.long  # a whole run over 5,000 stones with a part of the pipeline broken on purpose
@pytest.mark.timeout(300)
async def test_a_broken_variant_is_noticed() -> None:
    async with Ground.open() as ground:
        assert await notice(MUTANTS["cursor_before_data"], ground, QuietHistories(ground)) is not None
