"""The product's settings in a schedule: its ways of waiting are the same, a twenty-fifth as long."""

from collections.abc import Mapping
from typing import Any

#: Small steps, so that there is a middle to be hit, and no overlap of windows, which would hide what was missed.
_STEPS: Mapping[str, Any] = {
    "records_per_worker": 400,
    "heatmap_min_records_per_worker": 100,
    "worker_max_offset": 600,
    "worker_concurrency": 2,
    "consolidator_batch_size": 250,
    "incremental_safety_minutes": 0,
    "pg_pool_max": 4,
    "rate_limit_trade_per_minute": 10_000,
    "rate_limit_read_per_minute": 10_000,
}

#: How much shorter they are.
QUICKER = 25

QUICK: dict[str, Any] = {
    "worker_lease_seconds": 2.0,
    "sweep_seconds": 0.4,
    "retry_first_backoff_seconds": 0.08,
    "retry_longest_backoff_seconds": 1.0,
    "nivoda_request_timeout_ms": 1_000,
    "nivoda_request_tries": 4,
    "nivoda_gateway_pause_seconds": 1.2,
    # On a machine that plays several at once, honest work may take seconds too: given up, it would only be done again.
    "pg_answer_timeout_ms": 2_500,
    "pg_idle_transaction_timeout_ms": 4_000,
    "pg_conn_timeout_ms": 1_000,
    "trade_lease_seconds": 2.0,
    "trade_watch_seconds": 0.5,
}

#: The replacements of a deployment differ in what two releases may differ in.
NEXT_RELEASE: Mapping[str, Any] = {
    "consolidator_batch_size": 170,
    "worker_page_overlap": 7,
    "worker_max_offset": 300,
    "worker_concurrency": 3,
}


def settings_of(simulator_port: int, *, as_shipped: bool, **more: Any) -> dict[str, Any]:
    """``as_shipped`` leaves every time-out, lease and back-off at its default."""
    quick = {} if as_shipped else QUICK
    return {**_STEPS, **quick, "simulator_port": simulator_port, "log_format": "json", **more}
