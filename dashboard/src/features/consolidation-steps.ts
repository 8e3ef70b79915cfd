import type { ConsolidationOfRun, RunConsolidation } from "@/api/generated";

/** What a person can do about it on the run's page; undefined where it goes on by itself or is over. */
export function stepFor(run: RunConsolidation): string | undefined {
  if (run.state === "ingested") return "Consolidate";
  if (run.liveProgress?.postponedUntil) return "Resume";
  if (run.state !== "failed") return undefined;
  if (run.failedWorkers > 0) return "Retry";
  return run.consolidationStartedAt === null ? "See why" : "Resume";
}

/** Whether answers that it brought may wait to be consolidated. */
export const mayHoldAnswers = ({ state }: RunConsolidation): boolean =>
  state !== "planned" && state !== "completed";

/** When the answer came that has waited longest; null when none waits. */
export function oldestOf(waiting: Iterable<ConsolidationOfRun>): string | null {
  const moments = [...waiting].flatMap(({ oldestPendingCreatedAt }) => oldestPendingCreatedAt ?? []);
  return moments.toSorted((one, other) => Date.parse(one) - Date.parse(other))[0] ?? null;
}
