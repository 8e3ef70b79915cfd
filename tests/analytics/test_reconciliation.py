"""Every difference between a run's figures is told with its reason."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

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


def test_edges_and_the_catch_up_explain_what_was_fetched_twice() -> None:
    caught_up = replace(PARTITION, partition_id="catch-up-natural", kind="catch_up", fetched_records=4)
    found = steps(replace(RUN, fetched_records=110, unreadable_records=1), PARTITION, caught_up)
    assert found["fetched"].difference == 10
    assert "4 were read by the catch-up" in found["fetched"].explanation
    assert found["distinct"].difference == -10
    assert "1 items came without an identity" in found["distinct"].explanation


def test_disputed_counts_and_unread_partitions_are_named() -> None:
    disputed = replace(PARTITION, count_disputed=True, distinct_records=97)
    unread = replace(PARTITION, partition_id="natural-02", completed_at=None)
    explanation = steps(replace(RUN, fetched_records=97), disputed, unread)["fetched"].explanation
    assert "1 of 2 partitions are not read to their end" in explanation
    assert "natural-01: two passes agree, and differ from the supplier's count by 3" in explanation


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
    assert "60 gave the same answer as before" in found["changed"].explanation
    for words in ("5 cannot become a diamond", "10 are still to be consolidated", "2 others were removed"):
        assert words in found["accepted"].explanation


def test_a_replay_read_nothing() -> None:
    run = replace(RUN, is_replay=True, expected_records=0, fetched_records=0, distinct_records=0)
    assert "reads nothing" in steps(run)["fetched"].explanation
