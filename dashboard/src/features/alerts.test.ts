import { expect, test } from "vitest";
import type { AlertDelivery } from "@/api/generated";
import { countsOf, tellDeliveries } from "./alerts";

const being = (state: AlertDelivery["state"]) => ({ state }) as AlertDelivery;

test("of what is open the worst is counted first, and what there is none of is left out", () => {
  expect(countsOf({ critical: 1, error: 0, warning: 3, info: 0, worst: null })).toEqual([
    { severity: "critical", count: 1 },
    { severity: "warning", count: 3 },
  ]);
});

test("of messages what failed is told first", () => {
  expect(tellDeliveries([being("delivered"), being("abandoned"), being("delivered"), being("pending")])).toBe(
    "4 messages: 1 given up, 1 not yet delivered, 2 delivered",
  );
  expect(tellDeliveries([being("delivered")])).toBe("1 message: 1 delivered");
  expect(tellDeliveries([])).toBe("Nobody was told");
});
