import { expect, test } from "vitest";
import type { YourHold } from "@/api/generated";
import { formatMoment } from "@/format";
import { tradeOf } from "./trade-steps";

const UNTIL = "2026-01-02T12:00:00Z";
const held = (status: YourHold["status"]): YourHold => ({ id: "1", status, until: UNTIL });

test("what is free can be held and bought", () => {
  expect(tradeOf({ availability: "available", yourHold: null })).toMatchObject({
    hold: true,
    buy: true,
    end: false,
  });
});

test("one's own hold can be bought and ended, and says until when", () => {
  const { hold, buy, end, told } = tradeOf({ availability: "on_hold", yourHold: held("active") });
  expect([hold, buy, end]).toEqual([false, true, true]);
  expect(told?.(formatMoment)).toBe(`Held by you until ${formatMoment(UNTIL)}`);
});

test("another's hold can be neither bought nor ended", () => {
  const { told, ...steps } = tradeOf({ availability: "on_hold", yourHold: null });
  expect(steps).toEqual({ hold: false, buy: false, end: false });
  expect(told?.(formatMoment)).toBe("Held by another");
});

test.each(["sending", "unknown", "releasing"] as const)("a hold that is %s is not bought", (status) => {
  const { buy, end } = tradeOf({ availability: "on_hold", yourHold: held(status) });
  expect([buy, end]).toEqual([false, status === "releasing"]);
});

test("what is sold can only be looked at", () => {
  expect(tradeOf({ availability: "sold", yourHold: null })).toEqual({
    hold: false,
    buy: false,
    end: false,
    told: undefined,
  });
});
