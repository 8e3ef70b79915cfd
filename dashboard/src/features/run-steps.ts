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

/** As many as the overview shows. */
export const NEWEST_RUNS = { limit: 5 };

/** Of runs with the newest first: the last of each feed, where it did not bring everything. What a newer run has read is over. */
export function unmended(newest: RunSummary[]): RunSummary[] {
  const last = newest.filter(({ feed }, at) => newest.findIndex((other) => other.feed === feed) === at);
  return last.filter(({ status }) => status === "failed" || status === "partial");
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
