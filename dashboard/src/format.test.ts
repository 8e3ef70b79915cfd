import { expect, test } from "vitest";
import { counted, formatAge, formatCents, formatDuration, formatPercent, formatRange } from "./format";

test("money is whole cents, and ranges are whole dollars", () => {
  expect(formatCents(1_234_505)).toBe("$12,345.05");
  expect(formatRange(0, 1_250)).toBe("$0 to $1,250");
  expect(formatRange(1_250, null)).toBe("from $1,250");
});

test.each([
  [null, "—"],
  [0, "0 ms"],
  [999, "999 ms"],
  [1_000, "1.0 s"],
  [61_000, "1 min 1 s"],
  [3_600_000, "1 h 0 min"],
  [50 * 3_600_000, "2 d 2 h"],
])("a duration of %s ms reads %s", (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});

test("an age is never negative, whatever the two clocks say", () => {
  expect(formatAge("2026-01-01T00:00:05Z", Date.parse("2026-01-01T00:00:00Z"))).toBe("0 ms ago");
  expect(formatAge(null, 0)).toBe("never");
});

test("one stone is no stones", () => {
  expect(counted(1, "stone")).toBe("1 stone");
  expect(counted(1_000, "stone")).toBe("1,000 stones");
});

test("only all is a hundred per cent, and nothing of nothing is no figure", () => {
  expect(formatPercent(5, 5)).toBe("100 %");
  expect(formatPercent(1, 3)).toBe("33.3 %");
  expect(formatPercent(0, 0)).toBe("—");
});
