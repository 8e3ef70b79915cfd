import { Link } from "@tanstack/react-router";
import { type ConsolidationOfRun, type RunConsolidation, RunConsolidationOutcome } from "@/api/generated";
import { formatAge, formatCount, formatMoment, formatPercent, NOTHING } from "@/format";
import { Badge, type Tone } from "@/ui/badge";
import { Progress } from "@/ui/progress";
import { type Column, Table } from "@/ui/table";
import { stepFor } from "./consolidation-steps";
import { whichRun } from "./run-table";

/** What each run of the list still holds, as far as it is known. */
export type Waiting = Map<string, ConsolidationOfRun>;

interface Props {
  runs: RunConsolidation[];
  waiting: Waiting;
  now: number;
}

export function ConsolidationTable({ runs, waiting, now }: Props) {
  return (
    <Table caption="consolidations" columns={columns(waiting, now)} rows={runs} keyOf={(run) => run.runId} />
  );
}

const columns = (waiting: Waiting, now: number): Column<RunConsolidation>[] => [
  ...whichRun<RunConsolidation>(),
  { title: "Outcome", cell: (run) => <Outcome run={run} /> },
  { title: "Progress", cell: (run) => <Done run={run} /> },
  { title: "Rejected", cell: (run) => formatCount(run.consolidationErrors), numeric: true },
  {
    title: "Waiting",
    cell: ({ runId }) => formatCount(waiting.get(runId)?.pendingCount ?? 0),
    numeric: true,
  },
  {
    title: "Oldest came",
    cell: ({ runId }) => ageOf(waiting.get(runId)?.oldestPendingCreatedAt, now),
    numeric: true,
  },
  { title: "What to do", cell: (run) => <NextStep run={run} /> },
];

const ageOf = (moment: string | null | undefined, now: number) => (moment ? formatAge(moment, now) : NOTHING);

const OUTCOMES: Record<RunConsolidationOutcome, [Tone, string]> = {
  [RunConsolidationOutcome.success]: ["good", "success"],
  [RunConsolidationOutcome.partial]: ["warn", "partial"],
  [RunConsolidationOutcome.failed]: ["bad", "failed"],
  [RunConsolidationOutcome.running]: ["busy", "running"],
  [RunConsolidationOutcome.not_started]: ["quiet", "not started"],
};

function Outcome({ run }: { run: RunConsolidation }) {
  const [tone, words] = OUTCOMES[run.outcome];
  return (
    <>
      <Badge tone={tone}>{words}</Badge>
      {run.error !== null && <p className="mt-1 max-w-md text-xs break-words text-bad">{run.error}</p>}
    </>
  );
}

function Done({ run }: { run: RunConsolidation }) {
  const processed = run.liveProgress?.processed ?? run.consolidationProcessed;
  const total = run.liveProgress?.total ?? run.consolidationTotal;
  if (total === 0) return NOTHING;
  return (
    <div className="min-w-40">
      <p className="mb-1 text-right whitespace-nowrap text-muted">
        {formatCount(processed)} of {formatCount(total)} · {formatPercent(processed, total)}
      </p>
      <Progress percent={(100 * processed) / total} />
      {run.liveProgress?.postponedUntil && (
        <p className="mt-1 text-xs text-muted">Goes on at {formatMoment(run.liveProgress.postponedUntil)}</p>
      )}
    </div>
  );
}

function NextStep({ run }: { run: RunConsolidation }) {
  const step = stepFor(run);
  if (step === undefined) return NOTHING;
  return (
    <Link
      to="/runs/$runId"
      params={{ runId: run.runId }}
      aria-label={`${step}: the run of ${formatMoment(run.startedAt)}`}
      className="text-accent underline"
    >
      {step}
    </Link>
  );
}
