import { expect, test } from "vitest";
import { markPath, stepsOfPath } from "./marked-json";

const payload = {
  id: "1",
  diamond: { certificate: { shape: null, carats: 0 } },
  items: [{ a: 1 }, { a: 2 }],
};

test.each([
  ["$.diamond.certificate.shape", ["diamond", "certificate", "shape"]],
  ["$.items[1].a", ["items", "1", "a"]],
  ["$", []],
  ["diamond", null],
  ["$.a b..c", null],
])("%s is read as %j", (path, steps) => {
  expect(stepsOfPath(path)).toEqual(steps);
});

test.each([
  ["$.diamond.certificate.shape", "null"],
  ["$.diamond.certificate.carats", "0"],
  ["$.items[1].a", "2"],
  ["$.id", '"1"'],
])("what %s leads to is marked, and the text stays as it is", (path, text) => {
  const { before, marked, after } = markPath(payload, path);
  expect(marked).toBe(text);
  expect(before + marked + after).toBe(JSON.stringify(payload, null, 2));
});

test("of what is missing the nearest that is there is marked", () => {
  const { before, marked, after } = markPath(payload, "$.diamond.certificate.lab");
  expect(JSON.parse(marked)).toEqual(payload.diamond.certificate);
  expect(before + marked + after).toBe(JSON.stringify(payload, null, 2));
});

test("a path that leads nowhere marks nothing", () => {
  expect(markPath(payload, "$.nothing")).toEqual({
    before: JSON.stringify(payload, null, 2),
    marked: "",
    after: "",
  });
});
