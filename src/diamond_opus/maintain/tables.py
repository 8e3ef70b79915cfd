"""The tables that are ours: in a database that others use as well, theirs are nobody's business here."""

from diamond_opus.queue.pgmq_schema import dead_table_name, table_name
from diamond_opus.queue.protocol import QUEUES

#: Of the schema public, as the migrations make them; a test compares this with a fresh database.
PUBLIC_TABLES = (
    "alert_deliveries",
    "api_keys",
    "audit_log",
    "availability_marks",
    "dataset_changes",
    "dataset_versions",
    "density_scans",
    "diamonds",
    "duties",
    "error_logs",
    "hold_history",
    "incidents",
    "partition_progress",
    "pricing_rules",
    "purchase_history",
    "raw_diamonds_nivoda",
    "raw_diamonds_other",
    "rejected_diamonds",
    "removal_candidates",
    "request_budget",
    "request_signatures",
    "run_metadata",
    "run_warnings",
    "schema_migrations",
    "supplier_health",
    "upkeep",
    "watermarks",
    "worker_runs",
)

#: Of the schema pgmq: each queue, its dead letters, and the archive that PGMQ keeps beside both.
QUEUE_TABLES = tuple(
    f"{kind}_{name}"
    for queue in QUEUES
    for name in (table_name(queue), dead_table_name(queue))
    for kind in "qa"
)
