import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { columnsOf, headingOf, kindOf, TABLES } from "./tables";

const SERVER = readFileSync("../src/diamond_opus/analytics/tables.py", "utf8");

/** "table.column kind" of every column that the server allows. */
function allowedByServer(): string[] {
  const [, ...tables] = SERVER.slice(SERVER.indexOf("TABLES:")).split(/^ {4}"(?=\w+": Table\()/m);
  return tables.flatMap((text) => {
    const table = text.slice(0, text.indexOf('"'));
    const kinds = text.matchAll(/\b(uuid|text|number|boolean|moment)=((?:\s*"[^"]*")+)/g);
    return [...kinds].flatMap(([, kind, names = ""]) =>
      names.match(/\w+/g)?.map((name) => `${table}.${name} ${kind}`),
    ) as string[];
  });
}

test("what is offered is what the server allows", () => {
  const offered = TABLES.flatMap((table) =>
    columnsOf(table).map((column) => `${table}.${column} ${kindOf(table, column)}`),
  );
  expect(offered.toSorted()).toEqual(allowedByServer().toSorted());
});

test("a heading tells the unit", () => {
  expect(headingOf("feed_price")).toBe("feed_price, US $");
  expect(headingOf("length_mm")).toBe("length_mm");
});
