import { expect, test } from "vitest";
import type { Me } from "@/api/generated";
import { labelOf, lackingFor } from "./pages-for";

const meWith = (...permissions: Me["permissions"]) => ({ permissions }) as Me;

test.each([
  ["/", "admin"],
  ["/runs", "admin"],
  ["/runs/8c6982cd", "admin"],
  ["/price-rules", "cost"],
  ["/diamonds/8c6982cd", undefined],
  ["/nowhere", undefined],
])("a key that may read lacks for %s: %s", (pathname, lacking) => {
  expect(lackingFor(meWith("read"), pathname)).toBe(lacking);
});

test("who may do all lacks nothing", () => {
  expect(lackingFor(meWith("read", "cost", "trade", "admin"), "/heatmap")).toBeUndefined();
});

test.each([
  ["/dead-letters", "Dead letters"],
  ["/runs", "Runs"],
  ["/runs/8c6982cd", "The run"],
  ["/nowhere", undefined],
])("a link to %s is called %s", (pathname, label) => {
  expect(labelOf(pathname)).toBe(label);
});
