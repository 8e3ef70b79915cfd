"""Answers about runs: lists, one run with all that belongs to it, quality, failures, consolidation."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from diamond_opus.api.schemas import Answer

State = Literal["planned", "ingesting", "ingested", "consolidating", "completed", "failed", "cancelled"]
Status = Literal["running", "completed", "failed", "partial"]
PartitionState = Literal["pending", "running", "completed", "failed"]
RunKind = Literal["full", "incremental"]


class RunSummary(Answer):
    """A run. While it is read, its figures are those of its partitions so far."""

    run_id: UUID
    feed: str
    run_type: RunKind
    state: State
    status: Status = Field(
        description="partial: failed partitions, and it goes on, was completed by force, or was consolidated "
        "without them."
    )
    expected_workers: int = Field(description="Partitions.")
    completed_workers: int
    failed_workers: int
    watermark_before: datetime | None
    watermark_after: datetime | None
    updated_from: datetime | None
    updated_to: datetime = Field(description="Planning time; what the watermark becomes.")
    trace_id: str
    forced: bool
    is_replay: bool = Field(description="Read nothing; maps stored answers of quarantined stones anew.")
    expected_records: int = Field(description="By the supplier's counts when it was planned.")
    fetched_records: int = Field(description="Once in each range; ranges share their edges.")
    distinct_records: int = Field(description="Stones seen.")
    unchanged_records: int = Field(description="Same answer as before.")
    rejected_records: int = Field(description="Cannot become a diamond.")
    unreadable_records: int = Field(description="Items without an identity.")
    removed_records: int = Field(description="Gone from the supplier.")
    removals_accepted_at: datetime | None
    removals_settled_at: datetime | None
    consolidation_processed: int
    consolidation_errors: int
    consolidation_total: int
    error: str | None
    started_at: datetime
    ingest_completed_at: datetime | None
    consolidation_started_at: datetime | None
    consolidation_completed_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None = Field(description="Up to now while it goes on; null when it failed.")
    deadline_at: datetime | None = Field(description="Then it fails, unless it is over; null has no limit.")
    is_partial: bool = Field(
        description="Consolidated without the partitions that failed; a retry of those completes the run."
    )
    total_records_processed: int


class Partition(Answer):
    run_id: UUID
    partition_id: str
    kind: Literal["range", "catch_up"]
    lab_grown: bool
    price_from: int = Field(description="Whole dollars.")
    price_to: int | None = Field(description="Whole dollars; null is open.")
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


class Attempt(Answer):
    """One attempt of a worker at a partition."""

    id: UUID
    run_id: UUID
    partition_id: str
    attempt: int
    worker_id: UUID
    status: Literal["running", "completed", "failed"]
    records_processed: int
    error_message: str | None
    work_item_payload: dict[str, Any] | None
    started_at: datetime
    completed_at: datetime | None


class Difference(Answer):
    """From one figure to the next, and why they differ."""

    from_name: str
    from_value: int
    to_name: str
    to_value: int
    difference: int
    explanation: str


class RunDetail(Answer):
    run: RunSummary
    partitions: list[Partition]
    workers: list[Attempt] = Field(description="Every attempt, the oldest first.")
    removals: dict[str, int] = Field(description="Stones that were missed, by what became of them.")
    reconciliation: list[Difference]


class Refusals(Answer):
    reason: str
    json_path: str
    stones: int
    open: int = Field(description="Still in quarantine.")
    examples: list[str] = Field(description="Ids of stones.")


class WarningCount(Answer):
    json_path: str
    reason: str
    occurrences: int
    examples: list[str]


class Quality(Answer):
    run_id: UUID
    distinct_records: int
    rejected_records: int
    unreadable_records: int
    rejections: list[Refusals] = Field(description="Stones that this run refused last.")
    unreadable: list[Refusals]
    warnings: list[WarningCount] = Field(description="Single odd fields that became null.")


class FailedAttempt(Answer):
    id: UUID
    run_id: UUID
    partition_id: str
    attempt: int
    worker_id: UUID
    status: Literal["failed"]
    records_processed: int
    error_message: str | None
    started_at: datetime
    completed_at: datetime | None
    run_type: RunKind
    feed: str
    run_started_at: datetime
    partition_state: PartitionState = Field(description="Now: a later attempt may have succeeded.")


class FailedPartition(Answer):
    partition_id: str
    worker_id: UUID | None
    error_message: str | None
    records_processed: int
    expected_records: int
    attempts: int
    has_payload: bool
    started_at: datetime | None
    completed_at: datetime | None


class FailedPartitions(Answer):
    run_id: UUID
    total_failed: int
    workers: list[FailedPartition]


class ConsolidationTotals(Answer):
    total_raw: int
    total_consolidated: int
    total_pending: int
    progress_percent: float
    counted_at: datetime
    is_current: bool


class LiveProgress(Answer):
    processed: int
    errors: int
    total: int
    progress_percent: float
    postponed_until: datetime | None


class RunConsolidation(Answer):
    run_id: UUID
    feed: str
    run_type: RunKind
    state: State
    status: Status
    is_replay: bool
    outcome: Literal["success", "partial", "failed", "running", "not_started"]
    started_at: datetime
    completed_at: datetime | None
    expected_workers: int
    completed_workers: int
    failed_workers: int
    consolidation_started_at: datetime | None
    consolidation_completed_at: datetime | None
    consolidation_processed: int
    consolidation_errors: int
    consolidation_total: int
    next_attempt_at: datetime | None
    error: str | None
    live_progress: LiveProgress | None


class ConsolidationOfRun(Answer):
    run_id: UUID
    state: State
    total_raw_diamonds: int = Field(description="Answers that the run brought; unchanged ones are none.")
    consolidated_count: int
    pending_count: int
    failed_count: int = Field(description="In quarantine.")
    progress_percent: float
    oldest_pending_created_at: datetime | None
