import { expect, test } from "vitest";
import { shortened } from "./long-text";

test("a short text stays, and a long one ends with a word", () => {
  expect(shortened("what is not JSON")).toBe("what is not JSON");
  expect(shortened("word ".repeat(50))).toBe(`${"word ".repeat(24).trimEnd()} …`);
  expect(shortened("x".repeat(200))).toBe(`${"x".repeat(120)} …`);
});
