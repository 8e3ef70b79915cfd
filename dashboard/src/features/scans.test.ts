import { expect, test } from "vitest";
import type { Partition, StoredScan } from "@/api/generated";
import { cutsOf, gatherScans } from "./scans";

const stored = (given: Partial<StoredScan>): StoredScan => ({
  id: "1",
  feed: "nivoda",
  labGrown: false,
  total: 10,
  apiCalls: 4,
  scannedAt: "2026-01-02T00:00:00Z",
  runId: null,
  densityMap: [{ labGrown: given.labGrown ?? false, minPrice: 0, maxPrice: null, count: 10 }],
  ...given,
});

test("both types of one moment are one scan, and its figures are their sums", () => {
  const scans = gatherScans([
    stored({ id: "a", labGrown: true, total: 30, apiCalls: 7 }),
    stored({ id: "b" }),
    stored({ id: "c", scannedAt: "2026-01-01T00:00:00Z", runId: "run" }),
  ]);
  expect(scans.map(({ kind, ids, total, apiCalls }) => [kind, ids, total, apiCalls])).toEqual([
    ["scan", ["a", "b"], 40, 11],
    ["run", ["c"], 10, 4],
  ]);
  expect(scans[0]?.ranges.map(({ labGrown }) => labGrown)).toEqual([true, false]);
});

test("what a run catches up with is no cut", () => {
  const partitions = [
    {
      partitionId: "natural-01",
      kind: "range",
      priceFrom: 0,
      priceTo: 500,
      labGrown: false,
      expectedRecords: 9,
    },
    { partitionId: "catch-up-natural", kind: "catch_up", priceFrom: 0, priceTo: null, labGrown: false },
  ] as Partition[];
  expect(cutsOf(partitions)).toEqual([
    { partitionId: "natural-01", labGrown: false, minPrice: 0, maxPrice: 500, totalRecords: 9 },
  ]);
});
