"""Which tables and columns an operator may ask about freely, and what type each column has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "boolean", "moment", "uuid"]


@dataclass(frozen=True, slots=True)
class Table:
    """``relation`` is what is read; ``order`` makes pages stable where the client names no order of its own."""

    relation: str
    columns: Mapping[str, Kind]
    order: tuple[str, ...]


def _columns(**kinds: str) -> dict[str, Kind]:
    """Columns by kind, written as one text each."""
    named: dict[str, Kind] = {}
    for kind, names in kinds.items():
        named |= dict.fromkeys(names.split(), _KINDS[kind])
    return named


_KINDS: Mapping[str, Kind] = {
    "text": "text",
    "number": "number",
    "boolean": "boolean",
    "moment": "moment",
    "uuid": "uuid",
}

TABLES: Mapping[str, Table] = {
    "diamonds": Table(
        "diamonds",
        _columns(
            uuid="id rule_id",
            text="feed supplier_stone_id offer_id shape color clarity cut polish symmetry fluorescence availability "
            "feed_availability raw_availability hold_id certificate_lab certificate_number supplier_name "
            "supplier_legal_name fancy_color fancy_intensity fancy_overtone status local_status",
            number="carats feed_price price_per_carat price_model_price markup_ratio rating length_mm width_mm "
            "depth_mm table_percent depth_percent ratio delivery_days_min delivery_days_max",
            boolean="lab_grown treated eye_clean returnable",
            moment="source_updated_at last_seen_at created_at updated_at deleted_at",
        ),
        ("id",),
    ),
    # The view, so that a run under way has the figures that every other answer shows.
    "run_metadata": Table(
        "run_overview",
        _columns(
            uuid="run_id",
            text="feed run_type state status trace_id error",
            number="expected_workers completed_workers failed_workers expected_records fetched_records "
            "distinct_records unchanged_records rejected_records unreadable_records removed_records "
            "consolidation_processed consolidation_errors consolidation_total duration_ms",
            boolean="forced is_replay is_partial",
            moment="watermark_before watermark_after updated_from updated_to started_at ingest_completed_at "
            "consolidation_started_at consolidation_completed_at completed_at deadline_at",
        ),
        ("started_at", "run_id"),
    ),
    "worker_runs": Table(
        "worker_runs",
        _columns(
            uuid="id run_id worker_id",
            text="partition_id status error_message",
            number="attempt records_processed",
            moment="started_at completed_at",
        ),
        ("started_at", "id"),
    ),
    "partition_progress": Table(
        "partition_progress",
        _columns(
            uuid="run_id worker_id",
            text="partition_id kind state last_error",
            number="price_from price_to expected_records fetched_records distinct_records unchanged_records "
            "unreadable_records pages_read attempts failures wakes",
            boolean="lab_grown count_disputed",
            moment="next_attempt_at started_at completed_at updated_at",
        ),
        ("run_id", "partition_id"),
    ),
    "rejected_diamonds": Table(
        "rejected_diamonds",
        _columns(
            uuid="run_id",
            text="feed supplier_stone_id offer_id reason json_path",
            boolean="readable",
            moment="first_seen_at last_seen_at resolved_at",
        ),
        ("feed", "supplier_stone_id"),
    ),
    # What a person looks at before accepting removals.
    "removal_candidates": Table(
        "removal_candidates",
        _columns(
            uuid="run_id",
            text="feed supplier_stone_id state",
            boolean="lab_grown",
            moment="decided_at",
        ),
        ("run_id", "supplier_stone_id"),
    ),
}
