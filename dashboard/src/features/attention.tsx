import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { RunSummary, Summary } from "@/api/generated";
import { deadLettersQuery, runsQuery } from "@/api/queries";
import { counted, formatMoment, formatStones } from "@/format";
import { Empty } from "@/ui/notices";
import { RunActions } from "./run-actions";
import { NEWEST_RUNS, unmended } from "./run-steps";

/** What waits for a person, each with where it is put right. */
export function AttentionList({ summary }: { summary: Summary }) {
  const { openRejections, unknownOrders, unknownHolds, guardedRemovals, errorsOfADay } =
    summary.needsAttention;
  const newest = useQuery(runsQuery(NEWEST_RUNS)).data?.data ?? [];
  const deadLetters = useQuery(deadLettersQuery({ limit: 1 })).data?.pagination.total ?? 0;
  const things = [
    ...unmended(newest).map((run) => <FailedRun key={run.runId} run={run} />),
    unknownOrders > 0 && (
      <Thing key="orders" what={`Of ${counted(unknownOrders, "order")} nobody knows whether it was taken`}>
        <Link to="/orders" search={{ status: "unknown" }} className="text-accent underline">
          Settle
        </Link>
      </Thing>
    ),
    unknownHolds > 0 && (
      <Thing key="holds" what={`Of ${counted(unknownHolds, "hold")} nobody knows whether it was made`}>
        <Link to="/holds" search={{ status: "unknown" }} className="text-accent underline">
          Show
        </Link>
      </Thing>
    ),
    deadLetters > 0 && (
      <Thing key="letters" what={`${counted(deadLetters, "message")} that nobody could handle`}>
        <Link to="/dead-letters" className="text-accent underline">
          Read and replay
        </Link>
      </Thing>
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
        <Link to="/rejected" className="text-accent underline">
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

function FailedRun({ run }: { run: RunSummary }) {
  return (
    <Thing
      what={`The newest ${run.runType} run ${run.status === "failed" ? "failed" : "left something out"}`}
    >
      <Link to="/runs/$runId" params={{ runId: run.runId }} className="text-accent underline">
        {formatMoment(run.startedAt)}
      </Link>
      <RunActions run={run} />
    </Thing>
  );
}

function Thing({ what, children }: { what: string; children?: React.ReactNode }) {
  return (
    <li className="flex flex-wrap justify-between gap-2 py-2 first:pt-0 last:pb-0">
      <span>{what}</span>
      <span className="flex flex-wrap items-center gap-2">{children}</span>
    </li>
  );
}
