import { expect, test } from "vitest";
import { firstBar, lastBar } from "@/ui/histogram";
import { filtersOf, questionOf, readDiamondSearch, toggled } from "./diamond-search";

test("an address is read for what it may hold, and nothing else", () => {
  expect(
    readDiamondSearch({
      shape: ["ROUND", 3],
      color: "D",
      price_min: 100,
      carat_max: "x",
      sort: "no",
      page: "2",
      view: "grid",
    }),
  ).toEqual({ shape: ["ROUND"], color: ["D"], price_min: 100, page: 2, sort: undefined, view: undefined });
});

test("a search is asked with its order, and facets without it", () => {
  const search = readDiamondSearch({ shape: "ROUND", lab_grown: true, sort: "cheapest", page: 3 });
  expect(questionOf(search, 24)).toEqual({
    shape: ["ROUND"],
    lab_grown: true,
    sort_by: "price",
    sort_order: "asc",
    page: 3,
    limit: 24,
  });
  expect(filtersOf(search)).toEqual({ shape: ["ROUND"], lab_grown: true });
});

test("both types together are no filter", () => {
  expect(filtersOf({ lab_grown: ["true", "false"] }).lab_grown).toBeUndefined();
});

test("a value is taken, and taken back", () => {
  expect(toggled(undefined, "D")).toEqual(["D"]);
  expect(toggled(["D"], "E")).toEqual(["D", "E"]);
  expect(toggled(["D"], "D")).toBeUndefined();
});

const bars = [
  { from: 0, to: 100, count: 1 },
  { from: 100, to: 200, count: 1 },
  { from: 200, to: null, count: 1 },
];

test.each([
  [undefined, undefined, 0, 3],
  [100, 200, 1, 2],
  [150, undefined, 1, 3],
  [undefined, 250, 0, 3],
])("from %s to %s are the bars from %i up to %i", (min, max, first, last) => {
  expect([firstBar(bars, min), lastBar(bars, max)]).toEqual([first, last]);
});
