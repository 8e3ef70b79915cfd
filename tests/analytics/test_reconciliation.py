"""Every difference between a run's figures is told with its reason."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from diamond_opus.analytics.reconcile import Step, reconcile
from diamond_opus.runs.model import Partition, PartitionState, Run, RunState, RunType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = Run(
    run_id=UUID(int=1),
    feed="nivoda",
    run_type=RunType.FULL,
    state=RunState.COMPLETED,
    expected_workers=2,
    completed_workers=2,
    failed_workers=0,
    watermark_before=None,
    watermark_after=NOW,
    updated_from=None,
    updated_to=NOW,
    trace_id="",
    forced=False,
    expected_records=100,
    fetched_records=100,
    distinct_records=100,
    unchanged_records=0,
    rejected_records=0,
    unreadable_records=0,
    removed_records=0,
    consolidation_processed=100,
    consolidation_errors=0,
    consolidation_total=100,
    error=None,
    started_at=NOW,
    ingest_completed_at=NOW,
    consolidation_started_at=NOW,
    consolidation_completed_at=NOW,
    completed_at=NOW,
)
PARTITION = Partition(
    run_id=RUN.run_id,
    partition_id="natural-01",
    kind="range",
    lab_grown=False,
    price_from=0,
    price_to=None,
    state=PartitionState.COMPLETED,
    expected_records=100,
    fetched_records=100,
    distinct_records=100,
    unchanged_records=0,
    unreadable_records=0,
    pages_read=3,
    count_disputed=False,
    notes=[],
    attempts=1,
    last_error=None,
    next_attempt_at=None,
    started_at=NOW,
    completed_at=NOW,
)


def steps(run: Run, *partitions: Partition) -> dict[str, Step]:
    return {step.to_name: step for step in reconcile(run, partitions or [PARTITION])}


def test_where_nothing_differs_that_is_said() -> None:
    found = steps(RUN)
    assert [step.difference for step in found.values()] == [0, 0, 0, 0]
    assert found["fetched"].explanation == found["distinct"].explanation == "they agree"
    assert found["accepted"].explanation == "every changed stone was accepted"


def test_every_stone_of_the_first_run_of_the_demo_is_accounted_for() -> None:
    """12,000 counted; 10 without an identity; one at an edge, in two ranges. Nothing moved, and nothing says so."""
    first = replace(PARTITION, expected_records=6001, fetched_records=5996, unreadable_records=5)
    second = replace(first, partition_id="natural-02", fetched_records=5995)
    run = replace(
        RUN, expected_records=12_000, fetched_records=11_991, distinct_records=11_990, unreadable_records=10
    )
    found = steps(run, first, second)
    assert found["fetched"].explanation == (
        "-10: items that came without an identity, kept in rejected_diamonds; +1: read more than once: priced at the "
        "edge of two ranges, or again by the catch-up or a retry"
    )
    assert found["distinct"].explanation.startswith("-1: read more than once")


def test_what_the_catch_up_reads_is_movement_or_read_again() -> None:
    caught_up = replace(
        PARTITION, kind="catch_up", expected_records=0, fetched_records=4, unreadable_records=1
    )
    run = replace(RUN, fetched_records=104, distinct_records=102, unreadable_records=1)
    explanation = steps(run, PARTITION, caught_up)["fetched"].explanation
    assert "+2: read more than once" in explanation
    assert "+2: the inventory's own movement" in explanation
    assert "without an identity" not in explanation


def test_disputed_counts_and_unread_partitions_are_named() -> None:
    disputed = replace(PARTITION, count_disputed=True, fetched_records=97, distinct_records=97)
    unread = replace(PARTITION, partition_id="natural-02", fetched_records=0, completed_at=None)
    run = replace(RUN, expected_records=200, fetched_records=97, distinct_records=97)
    assert steps(run, disputed, unread)["fetched"].explanation == (
        "-3: natural-01: two passes agree, and differ from the supplier's count; "
        "-100: 1 of 2 partitions is not read to the end"
    )


def test_of_a_run_that_read_nothing_nothing_else_is_said() -> None:
    unread = replace(PARTITION, fetched_records=0, distinct_records=0, completed_at=None)
    run = replace(RUN, fetched_records=0, distinct_records=0, ingest_completed_at=None, completed_at=None)
    found = steps(run, unread)
    assert found["fetched"].explanation == "-100: 1 of 1 partitions is not read to the end"
    assert {found[name].explanation for name in ("distinct", "changed", "accepted")} == {"nothing was read"}


AMOUNTS = st.integers(min_value=0, max_value=5_000)
PARTITIONS = st.builds(
    partial(replace, PARTITION),
    kind=st.sampled_from(["range", "catch_up"]),
    expected_records=AMOUNTS,
    fetched_records=AMOUNTS,
    distinct_records=AMOUNTS,
    unreadable_records=AMOUNTS,
    count_disputed=st.booleans(),
    completed_at=st.sampled_from([NOW, None]),
)
RUNS = st.builds(
    partial(replace, RUN),
    expected_records=AMOUNTS,
    fetched_records=AMOUNTS,
    distinct_records=AMOUNTS,
    unchanged_records=AMOUNTS,
    rejected_records=AMOUNTS,
    removed_records=AMOUNTS,
    ingest_completed_at=st.sampled_from([NOW, None]),
)


@given(RUNS, st.lists(PARTITIONS, min_size=1, max_size=5))
def test_the_stated_parts_add_up_to_the_difference(run: Run, partitions: list[Partition]) -> None:
    # No stone is unchanged or rejected that was not read.
    run = replace(run, unchanged_records=min(run.unchanged_records, run.distinct_records))
    run = replace(run, rejected_records=min(run.rejected_records, run.distinct_records))
    for step in reconcile(run, partitions):
        parts = re.findall(r"(?:^|; )([+-][\d,]+): ", step.explanation)
        assert sum(int(part.replace(",", "")) for part in parts) == step.difference, step


def test_unchanged_rejected_removed_and_unfinished_stones_are_told() -> None:
    run = replace(
        RUN,
        state=RunState.CONSOLIDATING,
        unchanged_records=60,
        rejected_records=5,
        removed_records=2,
        consolidation_processed=30,
        consolidation_total=40,
    )
    found = steps(run)
    assert (found["changed"].difference, found["accepted"].difference) == (-60, -5)
    assert "-60: the same answer as before" in found["changed"].explanation
    for words in ("-5: cannot become a diamond", "10 are still to be consolidated", "2 others were removed"):
        assert words in found["accepted"].explanation


def test_a_replay_read_nothing() -> None:
    run = replace(RUN, is_replay=True, expected_records=0, fetched_records=0, distinct_records=0)
    assert "reads nothing" in steps(run)["fetched"].explanation
