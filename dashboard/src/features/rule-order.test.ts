import { expect, test } from "vitest";
import { isTriedBefore, planMove, type Ranked, reordered } from "./rule-order";

/** Rules named a, b, c in the order in which they are tried. */
const rulesOf = (...priorities: number[]): Ranked[] =>
  priorities.map((priority, index) => ({ id: String.fromCharCode(97 + index), priority }));

const applied = (rules: Ranked[], changes: Ranked[]): Ranked[] =>
  rules
    .map((rule) => changes.find(({ id }) => id === rule.id) ?? rule)
    .sort((one, other) => (isTriedBefore(one, other) ? -1 : 1));

const idsOf = (rules: Ranked[]): string => rules.map(({ id }) => id).join("");

test("equal priorities are tried in the order of their ids", () => {
  expect(isTriedBefore({ id: "a", priority: 5 }, { id: "b", priority: 5 })).toBe(true);
  expect(isTriedBefore({ id: "b", priority: 5 }, { id: "a", priority: 5 })).toBe(false);
  expect(isTriedBefore({ id: "b", priority: 4 }, { id: "a", priority: 5 })).toBe(true);
});

test.each([
  ["between two, the middle", [100, 200, 300], 2, 1, [{ id: "c", priority: 150 }]],
  ["to the front, a step before", [100, 200, 300], 2, 0, [{ id: "c", priority: 90 }]],
  ["to the end, a step behind", [100, 200, 300], 0, 2, [{ id: "a", priority: 310 }]],
  ["the last free number", [1, 3, 9], 2, 1, [{ id: "c", priority: 2 }]],
  ["nowhere, nothing", [100, 100, 300], 1, 1, []],
])("a free number changes one rule: %s", (_, priorities, from, to, changes) => {
  expect(planMove(rulesOf(...priorities), from, to)).toEqual(changes);
});

test("where no number is free, the fewest are renumbered, with steps", () => {
  // The neighbour alone gives way: 3 stands before all numbers from 4.
  expect(planMove(rulesOf(1, 2, 3, 10), 2, 1)).toEqual([{ id: "b", priority: 6 }]);
  // The one in front of it makes room, and the three behind it stay.
  expect(planMove(rulesOf(10, 11, 12, 13, 100), 3, 1)).toEqual([
    { id: "a", priority: -9 },
    { id: "d", priority: 1 },
  ]);
});

test("among equal priorities the ids decide who can stay", () => {
  expect(planMove(rulesOf(5, 5, 5, 50), 2, 0)).toEqual([{ id: "c", priority: -5 }]);
  expect(planMove(rulesOf(5, 5, 5, 50), 0, 1)).toEqual([{ id: "b", priority: -5 }]);
});

test("there is nothing before the smallest number and behind the largest", () => {
  const [low, high] = [-(2 ** 31), 2 ** 31 - 1];
  expect(planMove(rulesOf(low, 0, 8), 2, 0)).toEqual([
    { id: "a", priority: -10 },
    { id: "c", priority: -20 },
  ]);
  expect(planMove(rulesOf(8, high), 0, 1)).toEqual([{ id: "b", priority: -2 }]);
  // Those behind make room from the last on, so that none passes another.
  expect(planMove(rulesOf(low, low + 1, low + 2, low + 3, low + 12), 3, 1)).toEqual([
    { id: "c", priority: low + 9 },
    { id: "b", priority: low + 6 },
  ]);
});

const PRIORITIES = [1, 2, 3, 20];

/** Every line of four rules with these priorities. */
const LINES = PRIORITIES.flatMap((a) =>
  PRIORITIES.flatMap((b) => PRIORITIES.flatMap((c) => PRIORITIES.map((d) => [a, b, c, d]))),
).filter((line) => line.every((each, index) => index === 0 || each >= (line[index - 1] ?? 0)));

const MOVES = [0, 1, 2, 3].flatMap((from) => [0, 1, 2, 3].map((to) => [from, to] as const));

test("whatever is moved stands where it was put, and the others keep their order after every step", () => {
  for (const line of LINES) {
    for (const [from, to] of MOVES) {
      const rules = rulesOf(...line);
      const changes = planMove(rules, from, to);
      expect(idsOf(applied(rules, changes)), `${line}: ${from} to ${to}`).toBe(
        idsOf(reordered(rules, from, to)),
      );
      const moved = rules[from]?.id ?? "";
      for (let done = 0; done <= changes.length; done += 1) {
        const others = idsOf(applied(rules, changes.slice(0, done))).replace(moved, "");
        expect(others, `${line}: ${from} to ${to}, ${done} done`).toBe(idsOf(rules).replace(moved, ""));
      }
    }
  }
});

test("no single rule would have done where several are renumbered", () => {
  for (const line of LINES) {
    for (const [from, to] of MOVES) {
      const rules = rulesOf(...line);
      if (planMove(rules, from, to).length < 2) continue;
      const wanted = idsOf(reordered(rules, from, to));
      const free = Array.from({ length: 30 }, (_, index) => index - 5).filter((each) => !line.includes(each));
      for (const { id } of rules) {
        for (const priority of free) {
          expect(idsOf(applied(rules, [{ id, priority }])), `${line}: ${from} to ${to}`).not.toBe(wanted);
        }
      }
    }
  }
});
