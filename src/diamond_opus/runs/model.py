"""What a run and a partition are, and the states they may go through.

A run::

    planned ─▶ ingesting ─▶ ingested ─▶ consolidating ─▶ completed
       │           │ ▲                     ▲   │
       │           ▼ │ retry               │   │
       └───────▶ failed ───────────────────┘   │      (failed ─▶ consolidating: forced, the watermark stays)
                   ▲───────────────────────────┘      (any state but completed ─▶ cancelled)

Any active state becomes failed when the run's time is over. A partial run is ingested without the ranges that failed,
and ends failed when the others are consolidated: only a retry that reads them completes it.

A partition::

    pending ─▶ running ─▶ completed
       ▲          │
       ├──────────┤ given back, or back-off before the next attempt
       │          ▼
       └─────── failed      (retry, by a person)

The database refuses every other step (migrations/0001_runs.sql).
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from diamond_opus.domain.errors import DiamondError, Superseded


class RunType(StrEnum):
    FULL = "full"
    INCREMENTAL = "incremental"


class RunState(StrEnum):
    PLANNED = "planned"
    INGESTING = "ingesting"
    INGESTED = "ingested"
    CONSOLIDATING = "consolidating"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Nothing happens any more unless a person acts."""
        return self in (RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED)


class Failure(StrEnum):
    """How a run failed; the names are those of the alerts that tell of it."""

    CONSOLIDATION_SKIPPED = "consolidation_skipped"  # partitions failed, and the others wait for them
    CONSOLIDATION_FAILED = "consolidation_failed"
    RUN_PARTIAL = "run_partial"  # partitions failed, and the others are consolidated
    RUN_TIMED_OUT = "run_timed_out"


class PartitionState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class LeaseLost(Superseded):
    """The lease of a partition or of a finalisation is no longer ours: what was not committed is given up."""


class RunRefused(DiamondError):
    """The run cannot take the step asked for; the message says why and what can be done instead."""


class UnknownRun(RunRefused):
    """There is no such run."""


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """A partition before it is stored: whole dollars, both ends inclusive, ``price_to`` None is open."""

    partition_id: str
    lab_grown: bool
    price_from: int
    price_to: int | None
    expected_records: int
    is_catch_up: bool = False


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run before it is stored. ``updated_to`` is its planning time, which becomes the watermark.

    A replay has no partitions: it maps what is pending anew, and the watermark stays. A run that takes longer than
    ``time_limit_seconds`` fails.
    """

    feed: str
    run_type: RunType
    updated_from: datetime | None
    updated_to: datetime
    watermark_before: datetime | None
    trace_id: str
    expected_records: int
    partitions: tuple[PartitionPlan, ...]
    is_replay: bool = False
    time_limit_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One row of ``run_metadata``."""

    run_id: UUID
    feed: str
    run_type: RunType
    state: RunState
    expected_workers: int
    completed_workers: int
    failed_workers: int
    watermark_before: datetime | None
    watermark_after: datetime | None
    updated_from: datetime | None
    updated_to: datetime
    trace_id: str
    forced: bool
    expected_records: int
    fetched_records: int
    distinct_records: int
    unchanged_records: int
    rejected_records: int
    unreadable_records: int
    removed_records: int
    consolidation_processed: int
    consolidation_errors: int
    consolidation_total: int
    error: str | None
    started_at: datetime
    ingest_completed_at: datetime | None
    consolidation_started_at: datetime | None
    consolidation_completed_at: datetime | None
    completed_at: datetime | None
    is_replay: bool = False
    removals_accepted_at: datetime | None = None
    removals_settled_at: datetime | None = None
    deadline_at: datetime | None = None
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Partition:
    """One row of ``partition_progress``, as much of it as a reader wants."""

    run_id: UUID
    partition_id: str
    kind: str
    lab_grown: bool
    price_from: int
    price_to: int | None
    state: PartitionState
    expected_records: int
    fetched_records: int
    distinct_records: int
    unchanged_records: int
    unreadable_records: int
    pages_read: int
    count_disputed: bool
    notes: list[str]
    attempts: int
    last_error: str | None
    next_attempt_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClaimedPartition:
    """A partition under lease: everything a worker needs, and the token that fences its writes.

    ``database_time`` is the server's clock at the claim; fetch times are counted on from it, so that two workers
    with different clocks still agree on which answer is newer. ``commits`` is the number of the next commit.
    """

    run_id: UUID
    partition_id: str
    feed: str
    is_catch_up: bool
    lab_grown: bool
    price_from: int
    price_to: int | None
    updated_from: datetime | None
    updated_to: datetime
    trace_id: str
    cursor: dict[str, Any]
    commits: int
    attempt: int
    failures: int
    lease_token: UUID
    database_time: datetime


@dataclass(frozen=True, slots=True)
class DuePartition:
    """A partition that needs a wake-up, with what its message carries."""

    run_id: UUID
    partition_id: str
    feed: str
    trace_id: str
    lab_grown: bool
    price_from: int
    price_to: int | None
    expected_records: int
    updated_from: datetime | None
    updated_to: datetime
    wakes: int


@dataclass(frozen=True, slots=True)
class DueRun:
    """A run whose consolidation needs a wake-up."""

    run_id: UUID
    feed: str
    trace_id: str
    forced: bool
    wakes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """What one transaction of reading adds to its partition."""

    cursor: dict[str, Any]
    fetched: int = 0
    distinct: int = 0
    unreadable: int = 0
    pages: int = 0
    disputed: bool = False
    notes: tuple[str, ...] = ()
