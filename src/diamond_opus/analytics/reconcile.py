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

    What an explanation says with a sign is a part of the difference, and these parts add up to it. Null items count as
    unreadable, and are in none of the figures after ``expected``.
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
    if run.is_replay:
        return "a replay reads nothing; it maps stored answers anew"
    parts = [
        # The plan expects nothing of the catch-up, and so not its unreadable items either.
        (-sum(each.unreadable_records for each in partitions if each.kind == "range"), _UNREADABLE),
        *((_gap_of(each), _disputed(each)) for each in partitions if each.count_disputed),
    ]
    unread = sum(each.completed_at is None for each in partitions)
    if not unread:
        parts.append((run.fetched_records - run.distinct_records, _READ_AGAIN))
    rest = run.fetched_records - run.expected_records - sum(amount for amount, _ in parts)
    # What moved, and what was read twice, can be told from what is missing only when nothing is.
    parts.append((rest, _unread(unread, len(partitions)) if unread else _MOVED))
    return "; ".join(_signed(amount, why) for amount, why in parts if amount) or _agreed(run.fetched_records)


_NOTHING_READ = "nothing was read"
_MOVED = "the inventory's own movement since the counts were taken"
_READ_AGAIN = "read more than once: priced at the edge of two ranges, or again by the catch-up or a retry"
_UNREADABLE = "items that came without an identity, kept in rejected_diamonds"


def _signed(amount: int, why: str) -> str:
    return f"{amount:+,}: {why}"


def _unread(count: int, total: int) -> str:
    return f"{count} of {total} partitions {'is' if count == 1 else 'are'} not read to the end"


def _gap_of(partition: Partition) -> int:
    return partition.distinct_records + partition.unreadable_records - partition.expected_records


def _disputed(partition: Partition) -> str:
    return f"{partition.partition_id}: two passes agree, and differ from the supplier's count"


def _agreed(figure: int) -> str:
    return "they agree" if figure else _NOTHING_READ


def _why_distinct(run: Run) -> str:
    again = run.distinct_records - run.fetched_records
    if not again:
        return _agreed(run.fetched_records)
    if run.ingest_completed_at is None:
        return _signed(
            again, "read more than once, or in ranges that count here when they are read to the end"
        )
    return _signed(again, _READ_AGAIN)


def _why_changed(run: Run) -> str:
    if run.unchanged_records:
        return _signed(
            -run.unchanged_records, "the same answer as before: marked as seen, not consolidated again"
        )
    return "every stone was new or had changed" if run.distinct_records else _NOTHING_READ


def _why_accepted(run: Run) -> str:
    if not run.distinct_records and not run.is_replay:
        return _NOTHING_READ
    reasons = []
    if run.rejected_records:
        reasons.append(
            _signed(-run.rejected_records, "cannot become a diamond, the quality report has the reasons")
        )
    if run.consolidation_started_at is None:
        reasons.append("consolidation has not begun")
    elif run.consolidation_processed < run.consolidation_total and not run.state.is_over:
        left = run.consolidation_total - run.consolidation_processed
        reasons.append(f"{left} are still to be consolidated")
    if run.run_type is RunType.FULL and run.removed_records:
        reasons.append(f"{run.removed_records} others were removed: gone from the supplier")
    return "; ".join(reasons) or "every changed stone was accepted"
