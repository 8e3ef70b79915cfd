import { expect, test } from "vitest";
import type { DensityRange, ScannedPartition } from "@/api/generated";
import { bandsOf, barsOf, scaleOf, shareOf, ticksOf } from "./price-density";

const range = (minPrice: number, maxPrice: number | null, count: number): DensityRange => ({
  labGrown: false,
  minPrice,
  maxPrice,
  count,
});

test.each<[string, DensityRange[], number, number]>([
  ["closed ends", [range(500, 1_000, 3), range(1_000, 4_000, 1)], 500, 4_000],
  ["ends without stones", [range(0, 500, 0), range(500, 1_000, 3), range(1_000, null, 0)], 500, 1_000],
  ["open ends", [range(0, 500, 3), range(500, 1_000, 0), range(1_000, null, 1)], 250, 2_000],
  ["one open range", [range(500, null, 3)], 500, 1_000],
  ["no edge at all", [range(0, null, 3)], 100, 100_000],
  ["no stones", [range(0, 500, 0)], 100, 100_000],
])("the axis is as wide as there are stones: %s", (_name, ranges, low, high) => {
  expect(scaleOf(ranges)).toEqual({ low, high });
});

test("each doubling of the price is as wide as any other, and nothing lies outside", () => {
  const scale = { low: 100, high: 1_600 };
  expect([0, 100, 200, 400, 1_600, 9_999].map((price) => shareOf(scale, price))).toEqual([
    0, 0, 0.25, 0.5, 1, 1,
  ]);
});

test("ticks are round prices within the axis", () => {
  const ticks = ticksOf({ low: 100, high: 2_000 });
  expect(ticks.map(({ price }) => price)).toEqual([100, 200, 500, 1_000, 2_000]);
  expect(ticks.filter(({ isMain }) => isMain).map(({ price }) => price)).toEqual([100, 1_000]);
  expect(ticks.at(0)?.at).toBe(0);
  expect(ticks.at(-1)?.at).toBe(1);
});

test("where there are no two powers of ten, every tick is a main one", () => {
  expect(ticksOf({ low: 200, high: 900 }).map(({ price, isMain }) => [price, isMain])).toEqual([
    [200, true],
    [500, true],
  ]);
});

test("the area of a bar is its number of stones", () => {
  const ranges = [range(0, 500, 10), range(500, 2_000, 60), range(2_000, 4_000, 0), range(4_000, null, 30)];
  const bars = barsOf(scaleOf(ranges), ranges);
  const areas = bars.map(({ from, to, perDoubling }) => (to - from) * perDoubling);
  expect(bars.map(({ perDoubling }) => perDoubling)).toEqual(
    [10, 30, 30].map((each) => expect.closeTo(each)),
  );
  expect(areas.map((area) => (area * 10) / (areas[0] ?? 1))).toEqual(
    [10, 60, 30].map((each) => expect.closeTo(each)),
  );
});

test("partitions cover the axis, and one beside it is not drawn", () => {
  const partitions = [
    { partitionId: "natural-01", minPrice: 0, maxPrice: 100 },
    { partitionId: "natural-02", minPrice: 100, maxPrice: 400 },
    { partitionId: "natural-03", minPrice: 400, maxPrice: null },
  ] as ScannedPartition[];
  expect(
    bandsOf({ low: 100, high: 1_600 }, partitions).map(({ partition, from, to }) => [
      partition.partitionId,
      from,
      to,
    ]),
  ).toEqual([
    ["natural-02", 0, 0.5],
    ["natural-03", 0.5, 1],
  ]);
});
