import { expect, test } from "vitest";
import type { RunSummary } from "@/api/generated";
import { unmended } from "./run-steps";

const run = (runId: string, feed: string, status: RunSummary["status"]) =>
  ({ runId, feed, status }) as RunSummary;

test("only the newest run of a feed can still be mended", () => {
  const newest = [
    run("5", "nivoda", "failed"),
    run("4", "other", "completed"),
    run("3", "nivoda", "failed"),
    run("2", "other", "partial"),
  ];
  expect(unmended(newest).map(({ runId }) => runId)).toEqual(["5"]);
});

test("what goes on or has completed needs nobody", () => {
  expect(unmended([run("2", "nivoda", "running"), run("1", "nivoda", "partial")])).toEqual([]);
});
