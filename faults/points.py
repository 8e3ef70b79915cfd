"""Named points: statements of the product at which a process can be killed, cut off or refused."""

from collections.abc import Mapping

#: What each statement contains and no other does.
POINTS: Mapping[str, str] = {
    "insert_run": "INSERT INTO run_metadata",
    "insert_partitions": "INSERT INTO partition_progress",
    "claim_partition": "UPDATE partition_progress AS p\nSET state = 'running'",
    "insert_attempt": "INSERT INTO worker_runs",
    "advance_partition": "UPDATE partition_progress AS p\nSET cursor",
    "store_incoming": "INSERT INTO raw_diamonds",
    "leave_partition": "UPDATE partition_progress\nSET state =",
    "has_unsettled": "AND (state = 'running' OR kind = 'range')",
    "finish_ingestion": "SET state = 'ingested'",
    "start_consolidating": "SET state = 'consolidating'",
    "claim_batch": "FROM marked) AS numbered",
    "copy_new": "COPY diamonds",
    "merge_staging": "UPDATE diamonds AS d\nSET (",
    "count_batch": "SET consolidation_processed",
    "take_finalisation": "SET finalise_token = gen_random_uuid()",
    "freeze_candidates": "INSERT INTO removal_candidates",
    "decide_candidates": "UPDATE removal_candidates AS c\nSET state = CASE",
    "remove_gone": "SET removed_at = now()",
    "write_watermark": "UPDATE watermarks",
    "complete_run": "SET state = 'completed',\n    watermark_after",
    "commit": "COMMIT\0",
}

PLANNING = ("insert_run", "insert_partitions")
READING = (
    "claim_partition", "insert_attempt", "advance_partition", "store_incoming", "leave_partition", "has_unsettled",
    "finish_ingestion",
)  # fmt: skip
CONSOLIDATING = (
    "start_consolidating", "claim_batch", "copy_new", "merge_staging", "count_batch", "take_finalisation",
    "freeze_candidates", "decide_candidates", "remove_gone", "write_watermark", "complete_run",
)  # fmt: skip

#: Where a full run asks the supplier about what is missing.
ENDING = ("take_finalisation", "freeze_candidates", "decide_candidates")

#: Statements of a purchase, met only where somebody buys.
BUYING: Mapping[str, str] = {
    "insert_order": "INSERT INTO purchase_history",
    "mark_sent": "UPDATE purchase_history\nSET sent_at",
    "finish_order": "UPDATE purchase_history\nSET status = $1",
    "insert_hold": "INSERT INTO hold_history",
    "move_hold": "UPDATE hold_history\nSET status = $1",
}
