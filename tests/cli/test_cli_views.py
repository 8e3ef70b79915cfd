"""What a person sees while a run goes on, and when it is over."""

import io
import logging
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from rich.console import Console

from diamond_opus.cli.demo_summary import Summary, print_summary
from diamond_opus.cli.follow import ProgressView, SilentView, view_for
from diamond_opus.runs.model import Partition, PartitionState, Run, RunState, RunType

NOW = datetime(2026, 1, 1, tzinfo=UTC)

RUN = Run(
    run_id=uuid4(), feed="nivoda", run_type=RunType.FULL, state=RunState.INGESTING, expected_workers=2,
    completed_workers=1, failed_workers=0, watermark_before=None, watermark_after=None, updated_from=None,
    updated_to=NOW, trace_id="", forced=False, expected_records=12_000, fetched_records=11_990,
    distinct_records=11_985, unchanged_records=0, rejected_records=0, unreadable_records=3, removed_records=0,
    consolidation_processed=0, consolidation_errors=0, consolidation_total=0, error=None, started_at=NOW,
    ingest_completed_at=NOW + timedelta(seconds=4), consolidation_started_at=None,
    consolidation_completed_at=None, completed_at=None,
)  # fmt: skip

PARTITION = Partition(
    run_id=RUN.run_id, partition_id="natural-00", kind="range", lab_grown=False, price_from=0, price_to=None,
    state=PartitionState.COMPLETED, expected_records=6_000, fetched_records=6_000, distinct_records=6_000,
    unchanged_records=0, unreadable_records=0, pages_read=120, count_disputed=False, notes=[], attempts=1,
    last_error=None, next_attempt_at=None, started_at=NOW, completed_at=NOW,
)  # fmt: skip


def terminal(width: int = 120) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


def drawn(console: Console) -> str:
    """The last picture of the bars, and what stands above it."""
    assert isinstance(console.file, io.StringIO)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "\f", console.file.getvalue())
    return re.sub(r"[ \f]+", " ", text[-2000:])


def test_a_run_that_somebody_left_is_said_to_wait_for_the_leases_it_left() -> None:
    console = terminal()
    with ProgressView(console) as view:
        view.resuming(RUN, 3, 94.6)
    told = " ".join(drawn(console).split())
    assert "3 of its partitions are still leased" in told
    assert "in 95 s at most" in told


@pytest.mark.parametrize("width", [80, 120])
def test_the_bars_tell_phase_stones_and_partitions(width: int) -> None:
    console = terminal(width)
    waiting = replace(PARTITION, state=PartitionState.PENDING, fetched_records=1_234, next_attempt_at=NOW)
    with ProgressView(console) as view:
        view.counting(24, 24)
        view.show(RUN, [PARTITION, waiting])
        running = drawn(console)
        view.show(replace(RUN, state=RunState.COMPLETED), [PARTITION, PARTITION])
    assert "✓ Planning" in drawn(console)
    assert "7,234/12,000" in running
    assert "1/2 partitions" in running
    if width == 120:
        assert "1 will be retried" in running
    assert re.search(r"✓ Reading [^\n]* 12,000", drawn(console))
    assert max(map(len, re.split(r"[\r\n]", drawn(console)))) <= width


def test_a_phase_is_not_ticked_off_before_it_is_over() -> None:
    console = terminal()
    with ProgressView(console) as view:
        view.show(RUN, [PARTITION, PARTITION])
        assert "✓ Reading" not in drawn(console)


def test_log_lines_go_through_the_terminal_while_bars_are_drawn_and_straight_afterwards() -> None:
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    console = terminal()
    before = handler.stream
    with ProgressView(console):
        assert handler.stream is sys.stderr is not before
        logging.getLogger().warning("the supplier is slow")
    assert handler.stream is sys.stderr is before
    assert "the supplier is slow" in drawn(console)


def test_machines_get_no_bars() -> None:
    with view_for(Console(file=io.StringIO()), silent=False) as view:
        assert isinstance(view, SilentView)
    with view_for(terminal(), silent=True) as view:
        assert isinstance(view, SilentView)


def test_the_summary_counts_what_was_asked_found_and_priced_by_shape_and_price() -> None:
    shapes = [
        {
            "shape": f"SHAPE {n}",
            "stones": 20 - n,
            "lab_grown": 1,
            "cheapest": Decimal(n),
            "dearest": Decimal("99.5"),
        }
        for n in range(12)
    ]
    summary = Summary(
        stones=12_000,
        run=replace(RUN, state=RunState.COMPLETED),
        raw=11_985,
        diamonds=11_980,
        priced=11_980,
        rejected=5,
        by_shape=shapes,
        by_price=[
            {
                "low": 0,
                "high": 500,
                "stones": 8_000,
                "cheapest": Decimal("12.34"),
                "dearest": Decimal("499.99"),
            },
            {"low": 500, "high": None, "stones": 0, "cheapest": None, "dearest": None},
        ],
        example_id=None,
    )
    console = Console(file=io.StringIO(), width=80)
    print_summary(console, summary)
    assert isinstance(console.file, io.StringIO)
    text = re.sub(" +", " ", console.file.getvalue())
    for told in ("expected 12,000", "distinct 11,985", "rejected 5", "priced 11,980", "read in 4.0 s"):
        assert told in text
    assert "2 others │ 19" in text
    assert "│ $0 to $500 │ 8,000 │ ████████████████ │ $12.34 │ $499.99 │" in text
    assert "│ $500 and more │ 0 │ │ │ │" in text


def test_the_json_of_a_demo_has_numbers_and_no_more() -> None:
    summary = Summary(2000, replace(RUN, state=RunState.COMPLETED), 1998, 1997, 1997, 1, [], [], None)
    told = summary.as_json()
    assert told["secondsIngest"] == 4.0
    assert told["secondsConsolidate"] is None
    assert (told["raw"] - told["rejected"], told["state"]) == (told["diamonds"], "completed")
