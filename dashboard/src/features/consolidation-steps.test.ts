import { expect, test } from "vitest";
import type { ConsolidationOfRun, RunConsolidation } from "@/api/generated";
import { oldestOf, stepFor } from "./consolidation-steps";

const LIVE = { processed: 1, errors: 0, total: 2, progressPercent: 50, postponedUntil: null };

test.each<[Partial<RunConsolidation>, string | undefined]>([
  [{ state: "ingesting" }, undefined],
  [{ state: "ingested" }, "Consolidate"],
  [{ state: "consolidating", liveProgress: LIVE }, undefined],
  [{ state: "consolidating", liveProgress: { ...LIVE, postponedUntil: "2026-01-01T00:00:00Z" } }, "Resume"],
  [{ state: "failed", failedWorkers: 2 }, "Retry"],
  [{ state: "failed", consolidationStartedAt: "2026-01-01T00:00:00Z" }, "Resume"],
  [{ state: "failed" }, "See why"],
  [{ state: "completed" }, undefined],
  [{ state: "cancelled", failedWorkers: 1 }, undefined],
])("a run like %j leads to %s", (given, step) => {
  const run = { failedWorkers: 0, consolidationStartedAt: null, liveProgress: null, ...given };
  expect(stepFor(run as RunConsolidation)).toBe(step);
});

test("the oldest answer of all runs is told, and none where none waits", () => {
  const waiting = ["2026-01-02T00:00:00Z", null, "2026-01-01T00:00:00Z"].map(
    (oldestPendingCreatedAt) => ({ oldestPendingCreatedAt }) as ConsolidationOfRun,
  );
  expect(oldestOf(waiting)).toBe("2026-01-01T00:00:00Z");
  expect(oldestOf([])).toBeNull();
});
