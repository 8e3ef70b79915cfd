import { expect, test } from "vitest";
import {
  bodyOf,
  operatorsFor,
  orderable,
  type Question,
  readQuestion,
  repeatedFilter,
  valuesFor,
} from "./question";

const read = (search: Record<string, unknown>) => JSON.parse(JSON.stringify(readQuestion(search)));

test("an address is read for what it may hold, and nothing else", () => {
  expect(
    read({
      table: "diamonds",
      columns: ["id", "secret"],
      filters: [
        { column: "carats", operator: "gte", value: "1" },
        { column: "carats", operator: "like", value: "1" },
        { column: "secret", operator: "eq", value: "1" },
        "x",
      ],
      order: "carats",
      descending: true,
      limit: 25,
      page: 2,
    }),
  ).toEqual({
    table: "diamonds",
    columns: ["id"],
    filters: [{ column: "carats", operator: "gte", value: "1" }],
    order: "carats",
    descending: true,
    page: 2,
  });
  expect(read({ table: "api_keys", columns: ["id"] })).toEqual({});
});

test("a question without columns asks for all that are allowed", () => {
  expect(bodyOf({ table: "worker_runs" }, 3)).toEqual({
    select: "*",
    filters: {},
    order: null,
    limit: 25,
    offset: 50,
  });
});

test("a count groups by the chosen columns, and is ordered by what it shows", () => {
  const asked: Question = {
    table: "diamonds",
    columns: ["shape"],
    counted: true,
    order: "rows",
    descending: true,
  };
  expect(bodyOf(asked, 1)).toMatchObject({
    select: "shape, count(*) as rows",
    order: { column: "rows", ascending: false },
  });
  expect(orderable(asked)).toEqual(["shape", "rows"]);
});

test.each([
  ["carats", "gte", " 1.5 ", "1.5"],
  ["shape", "in", "OVAL, PEAR", ["OVAL", "PEAR"]],
  ["shape", "ilike", "%cut ", "%cut "],
  ["lab_grown", "eq", "true", true],
  ["lab_grown", "is", "not_null", "not_null"],
  ["lab_grown", "is", "false", false],
] as const)("%s %s %j is sent as %j", (column, operator, value, sent) => {
  const question = { table: "diamonds", filters: [{ column, operator, value }] } as const;
  expect(bodyOf({ ...question, filters: [...question.filters] }, 1).filters).toEqual({
    [column]: { [operator]: sent },
  });
});

test("two conditions of one column both hold, and the same one twice is found", () => {
  const from = { column: "carats", operator: "gte", value: "1" } as const;
  const to = { column: "carats", operator: "lt", value: "2" } as const;
  expect(bodyOf({ table: "diamonds", filters: [from, to] }, 1).filters).toEqual({
    carats: { gte: "1", lt: "2" },
  });
  expect(repeatedFilter([from, to])).toBeUndefined();
  expect(repeatedFilter([from, to, { ...from, value: "3" }])).toEqual({ ...from, value: "3" });
});

test("what cannot be compared so is not offered", () => {
  expect(operatorsFor("number")).not.toContain("like");
  expect(valuesFor("diamonds", "lab_grown", "eq")).toEqual(["true", "false"]);
  expect(valuesFor("diamonds", "created_at", "is")).toEqual(["null", "not_null"]);
  expect(valuesFor("diamonds", "shape", "eq")).toBeUndefined();
});

test("a column that holds one of a few words offers them, where one is compared", () => {
  expect(valuesFor("diamonds", "availability", "eq")).toContain("on_hold");
  expect(valuesFor("run_metadata", "status", "neq")).toContain("partial");
  expect(valuesFor("run_metadata", "status", "ilike")).toBeUndefined();
});
