import { expect, test } from "vitest";
import type { Attempt, Partition, RunSummary } from "@/api/generated";
import { layOut } from "./gantt-bars";
import { readRunSearch } from "./run-search";
import { stepsOf } from "./run-steps";

const run = (given: Partial<RunSummary>): RunSummary =>
  ({
    state: "ingesting",
    startedAt: "2026-01-01T00:00:00Z",
    ingestCompletedAt: null,
    completedAt: null,
    failedWorkers: 0,
    completedWorkers: 1,
    removalsAcceptedAt: null,
    removalsSettledAt: null,
    ...given,
  }) as RunSummary;

const possible = (given: Partial<RunSummary>) =>
  Object.entries(stepsOf(run(given)))
    .filter(([, isPossible]) => isPossible)
    .map(([step]) => step);

test.each<[Partial<RunSummary>, string[]]>([
  [{ state: "ingesting" }, ["cancel"]],
  [{ state: "ingested" }, ["consolidate", "cancel"]],
  [{ state: "consolidating", ingestCompletedAt: "2026-01-01T00:01:00Z" }, ["resume", "cancel"]],
  [{ state: "failed", failedWorkers: 1 }, ["retry", "force", "cancel"]],
  [{ state: "failed", failedWorkers: 1, completedWorkers: 0 }, ["retry", "cancel"]],
  [{ state: "failed", ingestCompletedAt: "2026-01-01T00:01:00Z" }, ["resume", "cancel"]],
  [{ state: "completed" }, ["acceptRemovals"]],
  [{ state: "completed", removalsSettledAt: "2026-01-01T00:01:00Z" }, []],
  [{ state: "cancelled", failedWorkers: 1 }, []],
])("a run like %j offers %j", (given, steps) => {
  expect(possible(given)).toEqual(steps);
});

test("attempts stand where they were in the run's time, and one that goes on reaches to now", () => {
  const partitions = [{ partitionId: "a" }, { partitionId: "b" }, { partitionId: "c" }] as Partition[];
  const attempts = [
    {
      id: "1",
      partitionId: "a",
      status: "failed",
      startedAt: "2026-01-01T00:00:10Z",
      completedAt: "2026-01-01T00:00:20Z",
    },
    {
      id: "2",
      partitionId: "a",
      status: "completed",
      startedAt: "2026-01-01T00:00:30Z",
      completedAt: "2026-01-01T00:00:40Z",
    },
    { id: "3", partitionId: "b", status: "running", startedAt: "2026-01-01T00:00:50Z", completedAt: null },
  ] as Attempt[];
  const lanes = layOut(run({}), partitions, attempts, Date.parse("2026-01-01T00:01:40Z"));
  expect(lanes.map(({ bars }) => bars.map(({ state, from, to }) => [state, from, to]))).toEqual([
    [
      ["failed", 0.1, 0.2],
      ["completed", 0.3, 0.4],
    ],
    [["running", 0.5, 1]],
    [],
  ]);
});

test("an address is read for what it may hold, and nothing else", () => {
  expect(readRunSearch({ status: ["failed", "no"], runType: "full", page: "3", x: 1 })).toEqual({
    status: ["failed"],
    runType: "full",
    page: 3,
  });
  expect(readRunSearch({ status: "completed", page: -1 })).toEqual({
    status: ["completed"],
    runType: undefined,
    page: undefined,
  });
});
