import { createMemoryHistory } from "@tanstack/react-router";
import { expect, test } from "vitest";
import { forgetKey, keepKey } from "@/api/session";
import { makeQueryClient, makeRouter } from "@/router";
import { firstBar, lastBar } from "@/ui/histogram";
import {
  activeFilters,
  boundsOf,
  type DiamondSearch,
  filtersOf,
  formatBounds,
  questionOf,
  RANGES,
  readDiamondSearch,
  toggled,
  writtenBounds,
} from "./diamond-search";
import { withKeptCounts } from "./facet-counts";

const read = (search: Record<string, unknown>) =>
  JSON.parse(JSON.stringify(readDiamondSearch(search))) as DiamondSearch;

test("an address is read for what it may hold, and nothing else", () => {
  const search = {
    shape: ["ROUND", 3],
    color: ["D", "blue"],
    lab_grown: "maybe",
    availability: "sold",
    price_min: 100,
    carat_max: "x",
    sort: "no",
    page: "2",
    view: "grid",
    stone: "a",
    utm_source: "mail",
  };
  expect(read(search)).toEqual({
    shape: ["ROUND"],
    color: ["D"],
    availability: ["sold"],
    price_min: 100,
    page: 2,
    stone: "a",
  });
  expect(Object.keys(readDiamondSearch(search))).toContain("carat_max");
});

test.each([
  [{ price_min: 123.45 }, { price_min: 123 }],
  [{ carat_min: 1.239 }, { carat_min: 1.24 }],
  [{ price_min: Number.POSITIVE_INFINITY, carat_max: 10_000 }, {}],
  [{ carat_min: 5, carat_max: 1 }, {}],
  [
    { carat_min: 1, carat_max: 1 },
    { carat_min: 1, carat_max: 1 },
  ],
])("the bounds %j mean %j", (given, meant) => {
  expect(read(given)).toEqual(meant);
});

test.each([
  ["carat_min=x&foo=bar&shape=ROUND", { shape: ["ROUND"] }],
  ["price_min=1e400&utm_source=mail", {}],
  ["carat_min=5&carat_max=1&price_max=123.45", { price_max: 123 }],
])("by way of the router, ?%s asks for %j", async (given, asked) => {
  keepKey("dk_mine");
  const router = makeRouter(makeQueryClient(() => {}));
  const history = createMemoryHistory({ initialEntries: [`/diamonds?${given}`] });
  router.update({ ...router.options, history });
  await router.load();
  expect(JSON.parse(JSON.stringify(filtersOf(router.state.matches.at(-1)?.search ?? {})))).toEqual(asked);
  forgetKey();
});

test("people write bounds in dollars and carats", () => {
  const [price, carats] = RANGES;
  expect(boundsOf(price, 1000.5, undefined)).toEqual({ price_min: 100_050, price_max: undefined });
  expect(writtenBounds({ price_min: 100_050 }, price)).toEqual({ min: 1000.5, max: undefined });
  expect(boundsOf(carats, 0.5, 1.004)).toEqual({ carat_min: 0.5, carat_max: 1 });
});

test("each filter that is set is told, with what takes it away", () => {
  const search = { shape: ["ROUND", "OVAL"], price_max: 100_000, carat_min: 1, carat_max: 2, page: 3 };
  const active = activeFilters(search);
  expect(
    active.map(({ label, value }) => [label, typeof value === "string" ? value : formatBounds(value)]),
  ).toEqual([
    ["Shape", "ROUND"],
    ["Shape", "OVAL"],
    ["Price", "up to $1,000.00"],
    ["Carats", "1.00 ct to 2.00 ct"],
  ]);
  expect(active[0]?.change).toEqual({ shape: ["OVAL"] });
  expect(active[3]?.change).toEqual({ carat_min: undefined, carat_max: undefined });
});

test("a value that no stone has stays among the counts while it is chosen", () => {
  expect(withKeptCounts([{ value: "D", count: 2 }], ["E"])).toEqual([
    { value: "D", count: 2 },
    { value: "E", count: 0 },
  ]);
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
