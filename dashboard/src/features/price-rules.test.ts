import { expect, test } from "vitest";
import type { Facets, FeedCounts, PricingRule } from "@/api/generated";
import { changesOf, draftOf, ruleOf, withPercent, withRatio } from "./rule-draft";
import { covers, presentOf, warningsOf } from "./rule-warnings";
import { formatMarkup, stonesOf } from "./rule-words";

const rule = (given: Partial<PricingRule> = {}): PricingRule => ({
  id: "m",
  priority: 100,
  caratMin: null,
  caratMax: null,
  shapes: null,
  labGrown: null,
  feed: null,
  markupRatio: 1.15,
  rating: 5,
  active: true,
  createdAt: "2026-01-01T00:00:00Z",
  updatedAt: "2026-01-01T00:00:00Z",
  ...given,
});

test.each([
  [{}, "every stone"],
  [{ caratMin: 1 }, "from 1.00 ct"],
  [{ caratMax: 0.5 }, "up to 0.50 ct"],
  [
    { shapes: ["OVAL", "PEAR"], labGrown: false, caratMin: 1, caratMax: 2, feed: "nivoda" },
    "OVAL or PEAR, natural, 1.00 to 2.00 ct, feed nivoda",
  ],
])("a rule with %j is for %s", (criteria, words) => {
  expect(stonesOf(rule(criteria))).toBe(words);
});

test.each([
  [1.15, "+15 %"],
  [1.1525, "+15.25 %"],
  [1, "+0 %"],
  [0.9, "−10 %"],
])("a ratio of %s is %s", (ratio, words) => {
  expect(formatMarkup(ratio)).toBe(words);
});

test.each([
  [{}, {}, true],
  [{}, { shapes: ["OVAL"], caratMin: 1, caratMax: 2, labGrown: true, feed: "nivoda" }, true],
  [{ caratMin: 1 }, { caratMin: 1 }, true],
  [{ caratMin: 1 }, { caratMin: 0.99 }, false],
  [{ caratMin: 1 }, {}, false],
  [{ caratMin: 0 }, {}, true],
  [{ caratMax: 2 }, { caratMax: 2 }, true],
  [{ caratMax: 2 }, { caratMax: 2.01 }, false],
  [{ caratMax: 2 }, {}, false],
  [{ shapes: ["OVAL", "PEAR"] }, { shapes: ["PEAR"] }, true],
  [{ shapes: ["OVAL"] }, { shapes: ["OVAL", "PEAR"] }, false],
  [{ shapes: ["OVAL"] }, {}, false],
  [{ labGrown: false }, { labGrown: false }, true],
  [{ labGrown: false }, { labGrown: true }, false],
  [{ labGrown: false }, {}, false],
  [{ feed: "nivoda" }, { feed: "nivoda" }, true],
  [{ feed: "nivoda" }, {}, false],
])("whether %j covers %j: %s", (one, other, expected) => {
  expect(covers(rule(one), rule(other))).toBe(expected);
});

test("the first earlier rule that matches all of it is named, and no later one", () => {
  const ovals = rule({ id: "o", priority: 10, shapes: ["OVAL"] });
  const large = rule({ id: "l", priority: 20, caratMin: 3 });
  const largeOvals = rule({ id: "b", priority: 30, shapes: ["OVAL"], caratMin: 4 });
  const all = rule({ id: "a", priority: 1000 });
  const tried = [ovals, large, largeOvals, all];
  expect(warningsOf(largeOvals, tried, {})).toEqual([
    "Never applied: rule 1 (OVAL) is tried before it and matches all that it matches.",
  ]);
  for (const each of [ovals, large, all]) expect(warningsOf(each, tried, {})).toEqual([]);
});

test("of equal priorities the smaller id shadows the larger", () => {
  const [one, other] = [rule({ id: "1" }), rule({ id: "2" })];
  expect(warningsOf(one, [one, other], {})).toEqual([]);
  expect(warningsOf(other, [one, other], {})).toHaveLength(1);
});

test("what no stone has is told, and nothing while it is not known", () => {
  const facets = {
    total: 3,
    shape: [{ value: "OVAL", count: 3 }],
    labGrown: [{ value: true, count: 3 }],
  } as Facets;
  const present = presentOf(facets, [{ feed: "nivoda" }] as FeedCounts[]);
  expect(warningsOf(rule({ shapes: ["OVAL"], labGrown: true, feed: "nivoda" }), [], present)).toEqual([]);
  expect(warningsOf(rule({ shapes: ["Oval"], labGrown: false, feed: "gone" }), [], present)).toEqual([
    "Matches nothing: no stone in the catalogue is Oval.",
    "Matches nothing: no stone in the catalogue is natural.",
    "Matches nothing: no stone in the catalogue is of the feed gone.",
  ]);
  expect(warningsOf(rule({ shapes: ["OVAL", "PEAR"] }), [], present)).toEqual([
    "No stone in the catalogue is PEAR.",
  ]);
  const empty = presentOf({ total: 0, shape: [], labGrown: [] } as unknown as Facets, []);
  expect(warningsOf(rule({ shapes: ["Oval"], feed: "gone" }), [], empty)).toEqual([]);
});

test("a new rule matches every stone until something is chosen", () => {
  const draft = withPercent(draftOf(undefined), "22.5");
  expect(ruleOf(draft)).toEqual({
    priority: 100,
    shapes: null,
    labGrown: null,
    caratMin: null,
    caratMax: null,
    feed: null,
    markupRatio: 1.225,
    rating: null,
  });
  expect(ruleOf({ ...draft, types: ["true", "false"] }).labGrown).toBeNull();
  expect(ruleOf({ ...draft, types: ["false"] }).labGrown).toBe(false);
});

test("only what was changed is sent, and what was emptied is cleared", () => {
  const before = rule({ shapes: ["OVAL", "PEAR"], caratMin: 0, caratMax: 2, labGrown: false });
  const draft = draftOf(before);
  expect(changesOf(before, draft)).toEqual({});
  expect(changesOf(before, { ...draft, shapes: ["PEAR", "OVAL"] })).toEqual({});
  expect(
    changesOf(before, {
      ...draft,
      shapes: undefined,
      types: [],
      caratMax: "",
      rating: undefined,
      ratio: "1.2",
    }),
  ).toEqual({ shapes: null, labGrown: null, caratMax: null, rating: null, markupRatio: 1.2 });
});

test("percent and ratio say the same", () => {
  const draft = draftOf(rule());
  expect([draft.percent, draft.ratio]).toEqual(["15", "1.15"]);
  expect(withRatio(draft, "1.1234").percent).toBe("12.34");
  expect(withPercent(draft, "-7.01").ratio).toBe("0.9299");
  expect(withRatio(draft, "").percent).toBe("");
});
