import { useQuery } from "@tanstack/react-query";
import { startRun } from "@/api/generated";
import { runsQuery, summaryQuery } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { formatAge, formatDuration, formatStones } from "@/format";
import { Confirm } from "@/ui/confirm";
import { useNow } from "@/ui/use-now";

type Kind = "full" | "incremental";

/** One run of a feed goes on at a time: while one does, none is started. */
export function StartRun({ kind }: { kind: Kind }) {
  const summary = useQuery(summaryQuery);
  const start = useThenRefresh(["runs"], ["summary"])(() => startRun({ runType: kind }));
  const name = `Start ${kind === "full" ? "a full" : "an incremental"} run`;
  return (
    <Confirm
      action={name}
      title={`${name}?`}
      done={`${kind === "full" ? "A full" : "An incremental"} run has begun.`}
      disabled={(summary.data?.activeRuns.length ?? 0) > 0}
      onConfirm={start}
    >
      {kind === "full"
        ? "The whole inventory is counted and read; stones that are gone are found. It takes the supplier's request budget for as long as it reads."
        : "What changed since the watermark is read. Removed stones are only found by a full run."}
      <LastTime kind={kind} />
    </Confirm>
  );
}

/** What to expect, by what it was last time. */
function LastTime({ kind }: { kind: Kind }) {
  const now = useNow();
  const watermark = useQuery(summaryQuery).data?.currentWatermark ?? null;
  const [last] = useQuery(runsQuery({ run_type: kind, status: ["completed"], limit: 1 })).data?.data ?? [];
  return (
    <p className="mt-2">
      {kind === "incremental" && `The watermark was set ${formatAge(watermark, now)}. `}
      {last === undefined
        ? "No such run has completed yet."
        : `The last one read ${formatStones(last.distinctRecords)} and took ${formatDuration(last.durationMs)}.`}
    </p>
  );
}
