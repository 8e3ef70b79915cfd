import { useQuery } from "@tanstack/react-query";
import {
  acceptRunRemovals,
  cancelRun,
  consolidateRun,
  type RunSummary,
  resumeConsolidation,
  retryWorkers,
} from "@/api/generated";
import { runQuery } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { counted, formatCount, formatStones } from "@/format";
import { Confirm } from "@/ui/confirm";
import { stepsOf } from "./run-steps";

export function RunActions({ run }: { run: RunSummary }) {
  const guarded = useQuery(runQuery(run.runId)).data?.removals.guarded ?? 0;
  const steps = stepsOf(run);
  const { runId } = run;
  const then = useThenRefresh(["run", runId], ["runs"]);
  return (
    <>
      {steps.retry && (
        <Confirm
          action="Retry failed"
          look="primary"
          title={`Retry ${counted(run.failedWorkers, "failed partition")}?`}
          onConfirm={then(() => retryWorkers({ runId }))}
        >
          Each goes on where it was
          {run.completedWorkers > 0 && `; ${counted(run.completedWorkers, "partition")} stay as they are`}.
        </Confirm>
      )}
      {steps.consolidate && (
        <Confirm
          action="Consolidate"
          title="Consolidate this run now?"
          onConfirm={then(() => consolidateRun({ runId, force: false }))}
        >
          {formatStones(run.distinctRecords)} are mapped, priced and put on sale.
        </Confirm>
      )}
      {steps.force && (
        <Confirm
          action="Consolidate by force"
          look="danger"
          title={`Consolidate without ${counted(run.failedWorkers, "failed partition")}?`}
          onConfirm={then(() => consolidateRun({ runId, force: true }))}
        >
          {formatStones(run.distinctRecords)} of {formatCount(run.expectedRecords)} expected are put on sale.
          The watermark stays, so that the next run reads what is missing.
        </Confirm>
      )}
      {steps.resume && (
        <Confirm
          action="Resume"
          title="Let the consolidation go on now?"
          onConfirm={then(() => resumeConsolidation({ runId }))}
        >
          {formatCount(run.consolidationProcessed)} of {formatStones(run.consolidationTotal)} are done; it
          goes on there.
        </Confirm>
      )}
      {steps.acceptRemovals && guarded > 0 && (
        <Confirm
          action="Accept removals"
          look="danger"
          title={`Let ${formatStones(guarded)} be removed?`}
          onConfirm={then(() => acceptRunRemovals({ runId }))}
        >
          This run missed them, which is more than the guard allows. The supplier is asked about each once
          more, and only what it denies is removed.
        </Confirm>
      )}
      {steps.cancel && (
        <Confirm
          action="Cancel run"
          look="danger"
          title="Close this run?"
          onConfirm={then(() => cancelRun({ runId }))}
        >
          {counted(Math.max(0, run.expectedWorkers - run.completedWorkers), "partition")} will not be read.{" "}
          {formatStones(run.distinctRecords)} that it stored stay, and the next run consolidates them.
        </Confirm>
      )}
    </>
  );
}
