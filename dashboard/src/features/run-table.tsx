import { Link } from "@tanstack/react-router";
import type { RunSummary } from "@/api/generated";
import { formatCount, formatDuration, formatMoment } from "@/format";
import { RunBadge } from "@/ui/badge";
import { Empty } from "@/ui/notices";
import { type Column, Table } from "@/ui/table";
import { useNow } from "@/ui/use-now";
import { StartRun } from "./start-run";

const OVER = new Set(["completed", "failed", "cancelled"]);

export const isOver = (run: RunSummary): boolean => OVER.has(run.state);

/** A run that goes on is counted by the clock here, so that it does not stand still between two answers. */
export const durationOf = (run: RunSummary, now: number): number | null =>
  isOver(run) ? run.durationMs : Math.max(0, now - Date.parse(run.startedAt));

export function RunTable({ runs }: { runs: RunSummary[] }) {
  const now = useNow();
  if (runs.length === 0) return <NoRunYet />;
  return <Table caption="runs" columns={runColumns(now)} rows={runs} keyOf={(run) => run.runId} />;
}

export function NoRunYet() {
  return (
    <Empty title="No run yet">
      <p className="mb-3">A full run reads the whole inventory and fills the catalogue.</p>
      <StartRun kind="full" />
    </Empty>
  );
}

/** Which run a row is about, in every table of runs. */
export const whichRun = <
  Run extends Pick<RunSummary, "runId" | "startedAt" | "isReplay" | "runType" | "state" | "status">,
>(): Column<Run>[] => [
  {
    title: "Started",
    cell: (run) => (
      <Link
        to="/runs/$runId"
        params={{ runId: run.runId }}
        className="whitespace-nowrap text-accent underline"
      >
        {formatMoment(run.startedAt)}
      </Link>
    ),
  },
  { title: "Type", cell: (run) => (run.isReplay ? "replay" : run.runType) },
  { title: "State", cell: (run) => <RunBadge run={run} /> },
];

export const runColumns = (now: number): Column<RunSummary>[] => [
  ...whichRun<RunSummary>(),
  {
    title: "Partitions",
    cell: (run) =>
      `${run.completedWorkers} of ${run.expectedWorkers}${run.failedWorkers > 0 ? `, ${run.failedWorkers} failed` : ""}`,
    numeric: true,
  },
  { title: "Stones", cell: (run) => formatCount(run.distinctRecords), numeric: true },
  { title: "Rejected", cell: (run) => formatCount(run.rejectedRecords), numeric: true },
  { title: "Removed", cell: (run) => formatCount(run.removedRecords), numeric: true },
  { title: "Duration", cell: (run) => formatDuration(durationOf(run, now)), numeric: true },
];
