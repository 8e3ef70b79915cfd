"""Why a run's figures differ from each other: every step from what was counted to what is sold, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from diamond_opus.runs.model import Partition, Run, RunType


@dataclass(frozen=True, slots=True)
class Step:
    """From one figure to the next: ``difference`` is what was added, negative for what fell away."""

    from_name: str
    from_value: int
    to_name: str
    to_value: int
    difference: int
    explanation: str


def reconcile(run: Run, partitions: Sequence[Partition]) -> list[Step]:
    """The steps expected → fetched → distinct → changed → accepted of a run, as far as it is.

    Null items count as unreadable and are in none of the figures after ``fetched``.
    """
    changed = run.distinct_records - run.unchanged_records
    return [
        _step(
            "expected", run.expected_records, "fetched", run.fetched_records, _why_fetched(run, partitions)
        ),
        _step("fetched", run.fetched_records, "distinct", run.distinct_records, _why_distinct(run)),
        _step("distinct", run.distinct_records, "changed", changed, _why_changed(run)),
        _step("changed", changed, "accepted", changed - run.rejected_records, _why_accepted(run)),
    ]


def _step(from_name: str, from_value: int, to_name: str, to_value: int, explanation: str) -> Step:
    return Step(from_name, from_value, to_name, to_value, to_value - from_value, explanation)


def _why_fetched(run: Run, partitions: Sequence[Partition]) -> str:
    disputed = [partition for partition in partitions if partition.count_disputed]
    unread = [partition for partition in partitions if partition.completed_at is None]
    reasons = []
    if run.is_replay:
        return "a replay reads nothing; it maps stored answers anew"
    if unread:
        reasons.append(f"{len(unread)} of {len(partitions)} partitions are not read to their end")
    for partition in disputed:
        gap = partition.expected_records - partition.distinct_records
        reasons.append(
            f"{partition.partition_id}: two passes agree, and differ from the supplier's count by {gap}"
        )
    caught_up = sum(partition.fetched_records for partition in partitions if partition.kind == "catch_up")
    if caught_up:
        reasons.append(f"{caught_up} were read by the catch-up, which is not counted when a run is planned")
    if run.fetched_records != run.expected_records:
        reasons.append("the rest is the inventory's own movement since the counts were taken")
    return "; ".join(reasons) or "they agree"


def _why_distinct(run: Run) -> str:
    if run.fetched_records == run.distinct_records:
        return "they agree"
    reasons = ["stones priced at an edge are in two ranges, and the catch-up reads some again"]
    if run.unreadable_records:
        reasons.append(
            f"{run.unreadable_records} items came without an identity and are in rejected_diamonds"
        )
    return "; ".join(reasons)


def _why_changed(run: Run) -> str:
    if not run.unchanged_records:
        return "every stone was new or had changed"
    return f"{run.unchanged_records} gave the same answer as before: marked as seen, not consolidated again"


def _why_accepted(run: Run) -> str:
    reasons = []
    if run.rejected_records:
        reasons.append(f"{run.rejected_records} cannot become a diamond; the quality report has the reasons")
    if run.consolidation_started_at is None:
        reasons.append("consolidation has not begun")
    elif run.consolidation_processed < run.consolidation_total and not run.state.is_over:
        left = run.consolidation_total - run.consolidation_processed
        reasons.append(f"{left} are still to be consolidated")
    if run.run_type is RunType.FULL and run.removed_records:
        reasons.append(f"{run.removed_records} others were removed: gone from the supplier")
    return "; ".join(reasons) or "every changed stone was accepted"
