import { expect, test } from "vitest";
import { fromFieldValue, moveOf, toFieldValue } from "./watermark-move";

const NOW = Date.parse("2026-01-03T00:00:00Z");
const FROM = "2026-01-02T12:00:30.123Z";

test("a field holds whole minutes of the reader's zone, and gives the moment back", () => {
  expect(toFieldValue(FROM)).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$/);
  expect(fromFieldValue(toFieldValue(FROM))).toBe("2026-01-02T12:00:00.000Z");
  expect(fromFieldValue("")).toBeUndefined();
});

test.each<[string | undefined, boolean, string]>([
  ["2026-01-01T12:00:30.123Z", false, "Back by 24 h 0 min"],
  ["2026-01-02T12:30:30.123Z", true, "Forward by 30 min 0 s"],
  ["2026-01-04T00:00:00Z", true, "in the future"],
  [FROM, false, "where it stands"],
  [undefined, false, "Choose a moment"],
])("to %s is forward: %s, and means: %s", (to, isForward, words) => {
  const move = moveOf(FROM, to, NOW);
  expect(move.isForward).toBe(isForward);
  expect(move.consequence).toContain(words);
});
