import { useQueries, useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import type { ConsolidationTotals, RunConsolidation } from "@/api/generated";
import {
  consolidationQuery,
  consolidationsQuery,
  POLL_MILLISECONDS,
  runConsolidationQuery,
} from "@/api/queries";
import { mayHoldAnswers, oldestOf } from "@/features/consolidation-steps";
import { ConsolidationTable, type Waiting } from "@/features/consolidation-table";
import { NoRunYet } from "@/features/run-table";
import { WatermarkPanel } from "@/features/watermark-panel";
import { counted, formatAge, formatCount, formatPercent, NOTHING } from "@/format";
import { Answer } from "@/ui/answer";
import { Bars } from "@/ui/bars";
import { Figure, FigureRow } from "@/ui/figure";
import { Page, Panel } from "@/ui/panel";
import { useNow } from "@/ui/use-now";

export const Route = createFileRoute("/_signed-in/consolidation")({ component: ConsolidationPage });

/** Few, because each that holds answers is asked about by itself. */
const NEWEST = { limit: 10 };

function ConsolidationPage() {
  const now = useNow();
  const totals = useQuery({ ...consolidationQuery, refetchInterval: POLL_MILLISECONDS });
  const runs = useQuery({ ...consolidationsQuery(NEWEST), refetchInterval: POLL_MILLISECONDS });
  const isAnyWaiting = (totals.data?.totalPending ?? 0) > 0;
  const waiting = useWaiting(isAnyWaiting ? (runs.data?.data ?? []) : []);
  const oldest = oldestOf(waiting.values());
  return (
    <Page title="Consolidation">
      <Answer of={totals}>
        {(data) => <Totals totals={data} oldest={oldest} runs={runs.data?.data ?? []} now={now} />}
      </Answer>
      <WatermarkPanel />
      <Panel
        title="The newest runs"
        aside={
          <Link to="/runs" className="text-accent underline">
            All runs
          </Link>
        }
      >
        <Answer of={runs}>
          {({ data }) =>
            data.length === 0 ? <NoRunYet /> : <ConsolidationTable runs={data} waiting={waiting} now={now} />
          }
        </Answer>
      </Panel>
    </Page>
  );
}

interface TotalsProps {
  totals: ConsolidationTotals;
  oldest: string | null;
  runs: RunConsolidation[];
  now: number;
}

function Totals({ totals, oldest, runs, now }: TotalsProps) {
  const rejected = runs.reduce((sum, { consolidationErrors }) => sum + consolidationErrors, 0);
  const failed = runs.filter(({ outcome }) => outcome === "failed").length;
  return (
    <>
      <FigureRow>
        <Figure
          label="Answers stored"
          note={totals.isCurrent ? "exact, for the data as it is" : "changing now; seconds old"}
        >
          {formatCount(totals.totalRaw)}
        </Figure>
        <Figure label="Consolidated" note={`${formatCount(totals.totalConsolidated)} of them`}>
          {formatPercent(totals.totalConsolidated, totals.totalRaw)}
        </Figure>
        <Figure label="Waiting" note="for the consolidation of a run">
          {formatCount(totals.totalPending)}
        </Figure>
        <Figure
          label="Oldest that waits"
          note={totals.totalPending === 0 ? "nothing waits" : "of the runs below"}
        >
          {oldest === null ? NOTHING : formatAge(oldest, now)}
        </Figure>
        <Figure
          label="Rejected by these runs"
          note={
            <Link to="/rejected" search={{ state: "open" }} className="text-accent underline">
              See why
            </Link>
          }
        >
          {formatCount(rejected)}
        </Figure>
        <Figure label="Failed" note={`of ${counted(runs.length, "run")} below`}>
          {formatCount(failed)}
        </Figure>
      </FigureRow>
      <Panel title="Of all answers that the suppliers gave">
        <Bars
          bars={[
            { label: "Consolidated", count: totals.totalConsolidated },
            { label: "Waiting", count: totals.totalPending },
          ]}
          note={(count, total) => `${formatCount(count)} · ${formatPercent(count, total)}`}
        />
      </Panel>
    </>
  );
}

/** The list does not tell what a run left behind: those that may have are asked about. */
const useWaiting = (runs: RunConsolidation[]): Waiting =>
  useQueries({
    queries: runs
      .filter(mayHoldAnswers)
      .map(({ runId }) => ({ ...runConsolidationQuery(runId), refetchInterval: POLL_MILLISECONDS })),
    combine: (results) => new Map(results.flatMap(({ data }) => (data ? [[data.runId, data] as const] : []))),
  });
