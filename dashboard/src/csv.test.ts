import { expect, test } from "vitest";
import { toCsv } from "./csv";

test("cells are quoted where they must be, and nothing is left empty", () => {
  const rows = [{ name: 'A "B", C', price: "1.50", sold: false, note: null }];
  expect(toCsv(["name", "price", "sold", "note"], rows)).toBe(
    'name,price,sold,note\r\n"A ""B"", C",1.50,false,\r\n',
  );
});

test("no text is run as a formula, and numbers stay numbers", () => {
  expect(toCsv(["a", "b"], [{ a: "=cmd()", b: "-3.5" }])).toBe("a,b\r\n'=cmd(),-3.5\r\n");
});
