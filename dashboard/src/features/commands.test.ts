import { expect, test } from "vitest";
import type { Me } from "@/api/generated";
import { commandsFor, isCertificate } from "./commands";

const meWith = (...permissions: Me["permissions"]) => ({ permissions }) as Me;
const ID = "8c6982cd-9e10-4795-93bc-b19938405167";

test("nothing typed offers every page that the key may see", () => {
  expect(commandsFor(meWith("read"), "").map(({ label }) => label)).toEqual(["Diamonds"]);
  expect(commandsFor(meWith("read", "cost", "trade", "admin"), " ").length).toBeGreaterThan(12);
});

test("words in any order and case find a page", () => {
  const labels = commandsFor(meWith("read", "admin"), "LOG audit").map(({ label }) => label);
  expect(labels).toEqual(["Audit log"]);
});

test("an id leads to the run and to the stone that may have it", () => {
  expect(commandsFor(meWith("read", "admin"), ` ${ID.toUpperCase()} `).map(({ target }) => target)).toEqual([
    { to: "/runs/$runId", params: { runId: ID } },
    { to: "/diamonds/$id", params: { id: ID } },
  ]);
  expect(commandsFor(meWith("read"), ID).map(({ label }) => label)).toEqual([`Stone ${ID}`]);
});

test("what is neither finds nothing", () => {
  expect(commandsFor(meWith("admin"), "8c6982cd")).toEqual([]);
});

test("what is done on a page is found by its words, where the key may", () => {
  expect(commandsFor(meWith("read", "admin"), "start run").map(({ target }) => target)).toEqual([
    { to: "/triggers" },
  ]);
  expect(commandsFor(meWith("read"), "start run")).toEqual([]);
});

test.each([
  ["2141438171", true],
  ["LG-6012345", true],
  ["runs", false],
  ["12", false],
  [ID, false],
])("%s may be a certificate's number: %s", (typed, expected) => {
  expect(isCertificate(typed)).toBe(expected);
});
