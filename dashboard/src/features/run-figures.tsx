import type { RunDetail } from "@/api/generated";
import { formatCount, formatDuration, formatMoment, formatPercent, NOTHING } from "@/format";
import { Figure, FigureRow } from "@/ui/figure";
import { useNow } from "@/ui/use-now";
import { readingEnd } from "./gantt-bars";
import { durationOf, isOver } from "./run-table";

export function RunFigures({ detail: { run, partitions } }: { detail: RunDetail }) {
  const now = useNow();
  const readingMilliseconds = Math.max(1, readingEnd(run, now) - Date.parse(run.startedAt));
  const fetched = partitions.reduce((sum, { fetchedRecords }) => sum + fetchedRecords, 0);
  const hasConsolidated = run.consolidationStartedAt !== null;
  return (
    <FigureRow>
      <Figure label="Partitions" note={run.failedWorkers > 0 ? `${run.failedWorkers} failed` : "none failed"}>
        {run.completedWorkers} of {run.expectedWorkers}
      </Figure>
      <Figure label="Fetched" note={`of ${formatCount(run.expectedRecords)} expected`}>
        {formatCount(fetched)}
      </Figure>
      <Figure label="Reading speed" note={isOver(run) ? "on average" : "so far"}>
        {fetched > 0
          ? `${formatCount(Math.round((1_000 * fetched) / readingMilliseconds))} stones/s`
          : NOTHING}
      </Figure>
      <Figure
        label="Consolidated"
        note={hasConsolidated ? `${formatCount(run.consolidationErrors)} rejected` : "not begun"}
      >
        {hasConsolidated ? formatPercent(run.consolidationProcessed, run.consolidationTotal) : NOTHING}
      </Figure>
      <Figure
        label="Duration"
        note={run.deadlineAt && !isOver(run) ? `at most until ${formatMoment(run.deadlineAt)}` : run.runType}
      >
        {formatDuration(durationOf(run, now))}
      </Figure>
      <Figure label="Watermark afterwards" note={`before: ${formatMoment(run.watermarkBefore)}`}>
        <span className="text-sm">{formatMoment(run.watermarkAfter)}</span>
      </Figure>
    </FigureRow>
  );
}
