import { useState } from "react";
import type { Attempt, Partition, RunSummary } from "@/api/generated";
import { formatCount, formatDuration } from "@/format";
import { toneOf } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Empty } from "@/ui/notices";
import { useNow } from "@/ui/use-now";
import { type Lane, layOut } from "./gantt-bars";

const FILLS = {
  good: "bg-good",
  bad: "bg-bad",
  busy: "bg-busy",
  warn: "bg-warn",
  quiet: "bg-muted",
} as const;

/** More lanes than this make a page that nobody scrolls through; the rest is one button away. */
const MOST_LANES = 60;

interface Props {
  run: RunSummary;
  partitions: Partition[];
  attempts: Attempt[];
}

export function PartitionGantt({ run, partitions, attempts }: Props) {
  const now = useNow();
  const [showsAll, setShowsAll] = useState(false);
  const lanes = layOut(run, partitions, attempts, now);
  if (lanes.length === 0) return <Empty title="This run reads nothing.">It maps stored answers anew.</Empty>;
  const shown = showsAll ? lanes : lanes.slice(0, MOST_LANES);
  return (
    <>
      <ol className="flex flex-col gap-1">
        {shown.map((lane) => (
          <GanttLane key={lane.partition.partitionId} {...lane} />
        ))}
      </ol>
      {shown.length < lanes.length && (
        <Button className="mt-3" onClick={() => setShowsAll(true)}>
          Show all {formatCount(lanes.length)}
        </Button>
      )}
    </>
  );
}

function GanttLane({ partition, bars }: Lane) {
  const milliseconds = bars.reduce((sum, bar) => sum + bar.milliseconds, 0);
  const words = bars.length === 0 ? partition.state : `${partition.state}, ${formatDuration(milliseconds)}`;
  return (
    <li className="grid grid-cols-[8.5rem_1fr] items-center gap-2 md:grid-cols-[11rem_1fr_10rem]">
      <span className="truncate text-xs" title={partition.partitionId}>
        {partition.partitionId}
      </span>
      <span aria-hidden className="relative h-4 overflow-hidden rounded bg-raised">
        {bars.map((bar) => (
          <span
            key={bar.key}
            title={`${bar.state}, ${formatDuration(bar.milliseconds)}`}
            className={`absolute inset-y-0 min-w-0.5 rounded-sm ${FILLS[toneOf(bar.state)]}`}
            style={{ left: `${100 * bar.from}%`, width: `${100 * (bar.to - bar.from)}%` }}
          />
        ))}
      </span>
      <span className="col-span-2 text-xs text-muted md:col-span-1 md:text-right">{words}</span>
    </li>
  );
}
