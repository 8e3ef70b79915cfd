import { Link } from "@tanstack/react-router";
import type { Summary } from "@/api/generated";
import { counted, formatStones } from "@/format";
import { Empty } from "@/ui/notices";

/** What waits for a person, each with where it is put right. */
export function AttentionList({ summary }: { summary: Summary }) {
  const { openRejections, failedWorkers, guardedRemovals, errorsOfADay } = summary.needsAttention;
  const failedRuns = summary.recentRunsCount.failed + summary.recentRunsCount.partial;
  const things = [
    failedRuns > 0 && (
      <Thing key="runs" what={`${counted(failedRuns, "run")} of 7 days failed, or left something out`}>
        <Link to="/runs" search={{ status: ["failed", "partial"] }} className="text-accent underline">
          Show and retry
        </Link>
      </Thing>
    ),
    failedWorkers > 0 && (
      <Thing key="attempts" what={`${counted(failedWorkers, "attempt")} at partitions failed in 7 days`} />
    ),
    guardedRemovals > 0 && (
      <Thing
        key="removals"
        what={`${formatStones(guardedRemovals)} missing from a full run wait to be accepted as removed`}
      >
        <Link to="/runs" search={{ runType: "full" }} className="text-accent underline">
          Open the full run
        </Link>
      </Thing>
    ),
    openRejections > 0 && (
      <Thing key="rejections" what={`${formatStones(openRejections)} in quarantine: they cannot be sold`}>
        <Link to="/rejected" search={{ state: "open" }} className="text-accent underline">
          See why
        </Link>
      </Thing>
    ),
    errorsOfADay > 0 && (
      <Thing key="errors" what={`${counted(errorsOfADay, "error")} logged in 24 hours`}>
        <Link to="/error-logs" className="text-accent underline">
          Read them
        </Link>
      </Thing>
    ),
  ].filter((thing) => thing !== false);
  if (things.length === 0) return <Empty title="Nothing needs a person." />;
  return <ul className="flex flex-col divide-y divide-line">{things}</ul>;
}

function Thing({ what, children }: { what: string; children?: React.ReactNode }) {
  return (
    <li className="flex flex-wrap justify-between gap-2 py-2 first:pt-0 last:pb-0">
      <span>{what}</span>
      {children}
    </li>
  );
}
