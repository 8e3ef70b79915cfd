import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import type { RunDetail } from "@/api/generated";
import { usePollUnlessLive } from "@/api/live";
import { qualityQuery, runQuery } from "@/api/queries";
import { AttemptTable } from "@/features/attempt-table";
import { PartitionGantt } from "@/features/partition-gantt";
import { PartitionTable } from "@/features/partition-table";
import { QualityReport } from "@/features/quality-report";
import { Reconciliation } from "@/features/reconciliation";
import { RunActions } from "@/features/run-actions";
import { RunFigures } from "@/features/run-figures";
import { formatMoment } from "@/format";
import { Answer } from "@/ui/answer";
import { RunBadge } from "@/ui/badge";
import { LongText } from "@/ui/long-text";
import { Page, Panel } from "@/ui/panel";
import { Trail } from "@/ui/trail";

export const Route = createFileRoute("/_signed-in/runs/$runId")({ component: RunPage });

function RunPage() {
  const { runId } = Route.useParams();
  const refetchInterval = usePollUnlessLive();
  const detail = useQuery({ ...runQuery(runId), refetchInterval });
  const run = detail.data?.run;
  return (
    <Page
      title={run ? `Run of ${formatMoment(run.startedAt)}` : "Run"}
      aside={
        run && (
          <div className="flex flex-wrap items-center gap-2">
            <RunBadge run={run} />
            <RunActions run={run} />
          </div>
        )
      }
    >
      <Trail to="/runs" label="Runs" id={runId} />
      <Answer of={detail} rows={8}>
        {(data) => <RunContent detail={data} />}
      </Answer>
    </Page>
  );
}

function RunContent({ detail }: { detail: RunDetail }) {
  const { run, partitions, reconciliation, workers } = detail;
  const quality = useQuery(qualityQuery(run.runId));
  return (
    <>
      {run.error !== null && (
        <div role="alert" className="rounded-md border border-bad bg-bad-ground px-4 py-3 text-bad">
          <LongText text={run.error} />
        </div>
      )}
      <RunFigures detail={detail} />
      <Panel title="When each partition was read">
        <PartitionGantt run={run} partitions={partitions} attempts={workers} />
      </Panel>
      <div className="grid gap-4 xl:grid-cols-2">
        <Panel title="From what was expected to what is on sale">
          <Reconciliation differences={reconciliation} />
        </Panel>
        <Panel title="Quality">
          <Answer of={quality}>{(report) => <QualityReport report={report} />}</Answer>
        </Panel>
      </div>
      <Panel title="Partitions">
        <PartitionTable run={run} partitions={partitions} />
      </Panel>
      <Panel title="Attempts that failed">
        <AttemptTable attempts={workers.filter(({ status }) => status === "failed")} />
      </Panel>
    </>
  );
}
