import {
  AttemptStatus,
  Availability,
  DiamondStatus,
  PartitionState,
  RunSummaryRunType,
  RunSummaryState,
  RunSummaryStatus,
} from "@/api/generated";
import type { TableName } from "@/api/queries";

export type Kind = "text" | "number" | "boolean" | "moment" | "uuid";

/**
 * Which tables and columns the API lets an operator ask about. It tells so only when it refuses a column, so they are
 * kept here once more, as src/diamond_opus/analytics/tables.py has them; a test compares the two.
 */
const COLUMNS: Record<TableName, Partial<Record<Kind, string>>> = {
  diamonds: {
    uuid: "id rule_id",
    text:
      "feed supplier_stone_id offer_id shape color clarity cut polish symmetry fluorescence availability " +
      "feed_availability raw_availability hold_id certificate_lab certificate_number supplier_name " +
      "supplier_legal_name fancy_color fancy_intensity fancy_overtone status local_status",
    number:
      "carats feed_price price_per_carat price_model_price markup_ratio rating length_mm width_mm depth_mm " +
      "table_percent depth_percent ratio delivery_days_min delivery_days_max",
    boolean: "lab_grown treated eye_clean returnable",
    moment: "source_updated_at last_seen_at created_at updated_at deleted_at",
  },
  run_metadata: {
    uuid: "run_id",
    text: "feed run_type state status trace_id error",
    number:
      "expected_workers completed_workers failed_workers expected_records fetched_records distinct_records " +
      "unchanged_records rejected_records unreadable_records removed_records consolidation_processed " +
      "consolidation_errors consolidation_total duration_ms",
    boolean: "forced is_replay is_partial",
    moment:
      "watermark_before watermark_after updated_from updated_to started_at ingest_completed_at " +
      "consolidation_started_at consolidation_completed_at completed_at deadline_at",
  },
  worker_runs: {
    uuid: "id run_id worker_id",
    text: "partition_id status error_message",
    number: "attempt records_processed",
    moment: "started_at completed_at",
  },
  partition_progress: {
    uuid: "run_id worker_id",
    text: "partition_id kind state last_error",
    number:
      "price_from price_to expected_records fetched_records distinct_records unchanged_records " +
      "unreadable_records pages_read attempts failures wakes",
    boolean: "lab_grown count_disputed",
    moment: "next_attempt_at started_at completed_at updated_at",
  },
  rejected_diamonds: {
    uuid: "run_id",
    text: "feed supplier_stone_id offer_id reason json_path",
    boolean: "readable",
    moment: "first_seen_at last_seen_at resolved_at",
  },
  removal_candidates: {
    uuid: "run_id",
    text: "feed supplier_stone_id state",
    boolean: "lab_grown",
    moment: "decided_at",
  },
};

export const TABLES = Object.keys(COLUMNS) as TableName[];

const KINDS = new Map(Object.entries(COLUMNS).map(([table, kinds]) => [table, kindsByColumn(kinds)]));

function kindsByColumn(kinds: Partial<Record<Kind, string>>): Map<string, Kind> {
  const entries = Object.entries(kinds) as [Kind, string][];
  return new Map(entries.flatMap(([kind, names]) => names.split(" ").map((name) => [name, kind])));
}

export const columnsOf = (table: TableName): string[] => [...(KINDS.get(table)?.keys() ?? [])];

/** What is no column is a count, so a number. */
export const kindOf = (table: TableName, column: string): Kind => KINDS.get(table)?.get(column) ?? "number";

/** Columns that only ever hold one of a few words. */
const WORDS: Partial<Record<TableName, Record<string, readonly string[]>>> = {
  diamonds: {
    availability: Object.values(Availability),
    feed_availability: Object.values(Availability),
    status: Object.values(DiamondStatus),
  },
  run_metadata: {
    run_type: Object.values(RunSummaryRunType),
    state: Object.values(RunSummaryState),
    status: Object.values(RunSummaryStatus),
  },
  worker_runs: { status: Object.values(AttemptStatus) },
  partition_progress: { state: Object.values(PartitionState), kind: ["range", "catch_up"] },
  removal_candidates: { state: ["frozen", "guarded", "gone", "present", "uncertain", "removed"] },
};

/** Which words a column may hold; undefined where they cannot be told. */
export const wordsOf = (table: TableName, column: string): readonly string[] | undefined =>
  WORDS[table]?.[column];

/** Of columns whose names do not end with it. */
const UNITS: Record<string, string> = {
  carats: "ct",
  feed_price: "US $",
  price_per_carat: "US $",
  price_model_price: "US $",
  price_from: "US $",
  price_to: "US $",
};

export const headingOf = (column: string): string =>
  UNITS[column] === undefined ? column : `${column}, ${UNITS[column]}`;
