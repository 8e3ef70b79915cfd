"""Bodies and answers of what operators start: runs, retries, consolidation, removals, replays, scans."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from diamond_opus.api.body_values import PlainText
from diamond_opus.api.schemas import Answer, Body
from diamond_opus.api.schemas_runs import RunKind, State

FeedName = Annotated[PlainText, Field(max_length=50, description="Needed only when there are several.")]


class StartBody(Body):
    run_type: RunKind | None = Field(
        default=None, description="Else RUN_TYPE, else incremental when there is a watermark, else full."
    )
    feed: FeedName | None = None


class RunBody(Body):
    run_id: UUID


class ConsolidateBody(RunBody):
    force: bool = Field(
        default=False, strict=True, description="In spite of failed partitions; the watermark stays."
    )


class RetryBody(RunBody):
    partition_id: PlainText | None = Field(default=None, max_length=200, description="Else every failed one.")


class ReplayRejectedBody(Body):
    ids: list[Annotated[PlainText, Field(max_length=300)]] | None = Field(
        default=None, min_length=1, max_length=10_000, description="Supplier stone ids."
    )
    reason: PlainText | None = Field(
        default=None, max_length=500, description="All that were refused for this."
    )
    feed: FeedName | None = None


class ReplayLettersBody(Body):
    queue: Literal["work-items", "work-done", "consolidate"]
    ids: list[Annotated[PlainText, Field(max_length=200)]] | None = Field(
        default=None,
        min_length=1,
        max_length=1_000,
        description="Else all of the queue, the oldest 1,000 at once.",
    )


class ResolveAlertBody(Body):
    alert_id: UUID
    note: PlainText | None = Field(
        default=None,
        max_length=500,
        description="What was done. The channels are told, the audit log keeps it.",
    )


class Started(Answer):
    message: str
    run_id: UUID = Field(description="The run is there when it is planned, which takes a request or more.")
    run_type: RunKind | None = Field(description="null: decided while it is planned.")
    feed: str
    status: Literal["planning"]
    requested_at: datetime


class RunFigures(Answer):
    run_type: RunKind
    state: State
    expected_workers: int
    completed_workers: int
    failed_workers: int


class ConsolidationStarted(Answer):
    message: str
    run_id: UUID
    trace_id: str
    force: bool
    pending_diamonds: int
    run_metadata: RunFigures


class Retried(Answer):
    message: str
    run_id: UUID
    retried_partitions: list[str]
    remaining_failed: int


class Cancelled(Answer):
    message: str
    run_id: UUID
    state: State


class RemovalsAccepted(Answer):
    message: str
    run_id: UUID
    candidates: int = Field(description="What was seen since stays; the supplier is asked about the rest.")


class RejectedReplayed(Answer):
    message: str
    feed: str
    stones: int
    run_id: UUID = Field(description="The run that consolidates them.")
    run_state: State
    is_new: bool = Field(description="Made for them: it reads nothing and leaves the watermark.")


class LettersReplayed(Answer):
    message: str
    queue: str
    replayed: int
    missing: list[str] = Field(description="Asked for by id, and not there.")


class AlertResolved(Answer):
    message: str
    alert_id: UUID
    event: str
    resolved_at: datetime
    resolution: str


class ScanBody(Body):
    """Prices are whole dollars."""

    mode: Literal["single-pass", "two-pass"] = Field(
        default="two-pass",
        description="single-pass counts the dense zone in fixed steps, two-pass only where a cut lies.",
    )
    min_price: int = Field(
        default=0, ge=0, le=10_000_000, description="Shown from here; all prices are counted."
    )
    max_price: int = Field(default=1_000_000, ge=1, le=10_000_000, description="Shown up to here.")
    max_workers: int | None = Field(
        default=None, ge=3, le=1_000, description="Most partitions; else the setting."
    )
    dense_zone_threshold: int | None = Field(default=None, ge=1, le=1_000_000)
    dense_zone_step: int | None = Field(default=None, ge=1, le=100_000)
    max_total_records: int | None = Field(
        default=None, ge=1, description="Partitions are shown until they hold this many."
    )
    lab_grown: bool | None = Field(default=None, description="Else both types.")
    feed: FeedName | None = None


class PreviewBody(Body):
    """Prices are whole dollars."""

    min_price: int = Field(
        default=0, ge=0, le=10_000_000, description="Shown from here; all prices are counted."
    )
    max_price: int = Field(default=100_000, ge=1, le=10_000_000, description="Shown up to here.")
    lab_grown: bool | None = Field(default=None, description="Else both types.")
    feed: FeedName | None = None


class ScanStats(Answer):
    api_calls: int
    scan_duration_ms: int
    ranges_scanned: int
    non_empty_ranges: int
    used_two_pass: bool


class DensityRange(Answer):
    """Whole dollars, both ends included; null is open. Neighbours share their edge."""

    lab_grown: bool
    min_price: int
    max_price: int | None
    count: int


class ScannedPartition(Answer):
    partition_id: str
    lab_grown: bool
    min_price: int
    max_price: int | None
    total_records: int


class Heatmap(Answer):
    total_records: int = Field(description="Without a price filter.")
    worker_count: int
    stats: ScanStats
    density_map: list[DensityRange]
    partitions: list[ScannedPartition] = Field(description="As a run would be cut now.")


class StoredScan(Answer):
    id: UUID
    feed: str
    lab_grown: bool
    total: int
    api_calls: int
    scanned_at: datetime
    run_id: UUID | None = Field(description="null: asked for by a person.")
    density_map: list[DensityRange]
