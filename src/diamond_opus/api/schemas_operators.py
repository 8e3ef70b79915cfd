"""Answers and bodies about the whole system: summary, feeds, logs, quarantine, watermark, free questions."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from diamond_opus.analytics.query_table import MOST_ROWS
from diamond_opus.api.body_values import Moment, PlainText
from diamond_opus.api.schemas import Answer, Body
from diamond_opus.api.schemas_runs import RunKind, State


class Availabilities(Answer):
    available: int
    on_hold: int
    sold: int
    unavailable: int


class SuccessfulRun(Answer):
    run_id: UUID
    feed: str
    run_type: RunKind
    expected_workers: int
    completed_workers: int
    failed_workers: int
    watermark_before: datetime | None
    watermark_after: datetime | None
    started_at: datetime
    completed_at: datetime


class ActiveRun(Answer):
    run_id: UUID
    feed: str
    run_type: RunKind
    state: State
    started_at: datetime


class RecentRuns(Answer):
    """Of seven days."""

    total: int
    completed: int
    failed: int
    partial: int
    running: int


class Attention(Answer):
    open_rejections: int
    failed_workers: int = Field(
        description="Failed partitions of the newest run, which a retry may put right."
    )
    unknown_orders: int = Field(description="Orders whose answer was lost.")
    unknown_holds: int = Field(description="Holds whose answer was lost.")
    guarded_removals: int = Field(description="Stones that the guard kept; accept or ignore them.")
    errors_of_a_day: int


#: How soon somebody should look: in the middle of the night, today, this week, when convenient.
AlertSeverity = Literal["critical", "error", "warning", "info"]


class WorstAlert(Answer):
    id: UUID
    event: str
    severity: AlertSeverity
    title: str
    since: datetime


class OpenAlerts(Answer):
    """How many of each severity."""

    critical: int
    error: int
    warning: int
    info: int
    worst: WorstAlert | None = Field(description="The newest of those that are as bad; null: none is open.")


class Freshness(Answer):
    counted_at: datetime
    is_current: bool = Field(
        description="false: the catalogue is changing, and these counts are seconds old."
    )
    dataset_updated_at: datetime | None
    watermark_age_seconds: int | None


class Summary(Answer):
    total_active_diamonds: int
    total_feeds: int
    diamonds_by_availability: Availabilities
    last_successful_run: SuccessfulRun | None
    active_runs: list[ActiveRun]
    current_watermark: datetime | None
    recent_runs_count: RecentRuns
    needs_attention: Attention
    open_alerts: OpenAlerts
    freshness: Freshness


class StoneCounts(Answer):
    """Money is whole US cents."""

    total_diamonds: int
    available_diamonds: int
    on_hold_diamonds: int
    sold_diamonds: int
    unavailable_diamonds: int
    avg_feed_price_cents: int
    min_feed_price_cents: int
    max_feed_price_cents: int
    avg_price_model_price_cents: int
    last_updated: datetime


class FeedCounts(StoneCounts):
    feed: str


class SupplierCounts(StoneCounts):
    supplier_name: str | None
    feeds: list[str]


class ErrorLog(Answer):
    id: str
    service: str
    error_message: str
    stack_trace: str | None
    context: dict[str, Any] | None
    created_at: datetime


class Deleted(Answer):
    deleted: int


class Act(Answer):
    """Who did what."""

    id: str
    actor: str = Field(description="key:ID, hmac:CLIENT or cli:USER.")
    action: str
    subject: str
    details: dict[str, Any]
    created_at: datetime


class AlertDelivery(Answer):
    """What a channel was told of an alert, or is to be told."""

    channel: str = Field(description="Its kind, and a few letters that tell it from others; no secret.")
    kind: Literal["opened", "resolved"]
    told_as: UUID = Field(description="The id by which the channel knows the alert, in most cases its own.")
    state: Literal["pending", "sending", "delivered", "unknown", "abandoned"] = Field(
        description="unknown: given up after an answer was lost, so it may have arrived."
    )
    attempts: int
    last_error: str | None
    settled_at: datetime | None = Field(description="When it was delivered, or given up.")


class AlertAnswer(Answer):
    """An incident: trouble with a beginning and an end, which is told once."""

    id: UUID
    event: str = Field(description="What kind, such as run_late; the runbook has a section for each.")
    subject: str = Field(
        description="What it is about: a run, an order, a queue, a feed; empty: the whole system."
    )
    severity: AlertSeverity
    title: str
    text: str
    cause: str | None = Field(description="The likely one.")
    action: str | None = Field(description="What to do, often a command.")
    page: str | None = Field(description="Path of the dashboard's page where it is seen or put right.")
    stones: int | None = Field(description="How many are concerned.")
    facts: dict[str, Any] = Field(description="What else is known.")
    run_id: UUID | None
    since: datetime = Field(description="Since when it is so, which may be long before it was noticed.")
    opened_at: datetime
    last_seen_at: datetime
    occurrences: int = Field(description="How often it was seen.")
    cleared_at: datetime | None = Field(description="Since when it is not seen any more.")
    resolved_at: datetime | None = Field(description="null: it is open.")
    resolution: str | None
    runbook: str = Field(description="Section of the runbook that explains it.")
    deliveries: list[AlertDelivery]


class RejectedStone(Answer):
    feed: str
    supplier_stone_id: str
    offer_id: str | None
    run_id: UUID
    reason: str
    json_path: str
    readable: bool = Field(description="false: an item without an identity, which cannot be replayed.")
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None


class RejectedPayload(RejectedStone):
    payload: Any = Field(description="As the supplier sent it.")


class DeadLetterAnswer(Answer):
    queue: str
    id: str
    body: dict[str, Any]
    properties: dict[str, str]
    reason: str
    description: str


class WatermarkAnswer(Answer):
    feed: str
    last_updated_at: datetime
    last_run_id: str | None
    last_run_completed_at: datetime | None
    version: str = Field(description="Send it with PUT to change only what you have seen.")


class CurrentWatermark(Answer):
    data: WatermarkAnswer | None = Field(description="null before the first complete run.")


class WatermarkBody(Body):
    last_updated_at: Moment = Field(description="With its zone; not in the future. It may go back.")
    last_run_id: PlainText | None = Field(default=None, min_length=1, max_length=100)
    last_run_completed_at: Moment | None = None
    feed: PlainText | None = Field(
        default=None, max_length=50, description="Needed only when there are several."
    )
    version: PlainText | None = Field(
        default=None, max_length=200, description="Refuse with 409 when it is not this one any more."
    )


class OrderBody(Body):
    column: str = Field(max_length=100)
    ascending: bool = True


class QuestionBody(Body):
    """`select` are columns and aggregates with commas between: `feed, count(*) as stones`."""

    select: str = Field(
        default="*", max_length=2_000, description="`*` stands for every column that is allowed."
    )
    filters: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        max_length=50,
        description="`{column: {operator: value}}`; eq neq gt gte lt lte like ilike in is; all must hold.",
    )
    order: OrderBody | None = None
    limit: int = Field(default=100, ge=1, le=MOST_ROWS)
    offset: int = Field(default=0, ge=0, le=10_000_000)


class FoundWindow(Answer):
    total: int
    limit: int
    offset: int


class Found(Answer):
    data: list[dict[str, Any]] = Field(
        description="Columns by their names; decimals are exact texts, money in them is dollars."
    )
    pagination: FoundWindow


#: What an event's data belongs to.
EventName = Literal["run", "partition", "consolidation", "attention"]
