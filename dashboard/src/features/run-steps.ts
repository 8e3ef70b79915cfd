import type { RunSummary } from "@/api/generated";

/** What a person may do about a run as it stands; the API decides again when it is asked. */
export interface Steps {
  retry: boolean;
  consolidate: boolean;
  force: boolean;
  resume: boolean;
  cancel: boolean;
  acceptRemovals: boolean;
}

export function stepsOf(run: RunSummary): Steps {
  const hasFailedPartitions = run.failedWorkers > 0;
  const isRead = run.ingestCompletedAt !== null;
  return {
    retry: hasFailedPartitions && run.state !== "cancelled",
    consolidate: run.state === "ingested",
    force: hasFailedPartitions && run.completedWorkers > 0 && run.state === "failed",
    resume: run.state === "consolidating" || (run.state === "failed" && isRead && !hasFailedPartitions),
    cancel: !["completed", "cancelled"].includes(run.state),
    acceptRemovals:
      run.state === "completed" && run.removalsSettledAt === null && run.removalsAcceptedAt === null,
  };
}
