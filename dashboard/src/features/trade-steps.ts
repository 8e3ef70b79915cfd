import type { Diamond } from "@/api/generated";

/** What this key may do about a stone as it stands; the API decides again when it is asked. */
export interface TradeSteps {
  hold: boolean;
  buy: boolean;
  end: boolean;
  /** Why it is not simply to be had. */
  told?: (formatMoment: (iso: string | null) => string) => string;
}

export function tradeOf({ availability, yourHold }: Pick<Diamond, "availability" | "yourHold">): TradeSteps {
  if (yourHold === null || yourHold === undefined) {
    const isFree = availability === "available";
    const told = availability === "on_hold" ? () => "Held by another" : undefined;
    return { hold: isFree, buy: isFree, end: false, told };
  }
  const { status, until } = yourHold;
  if (status !== "active") {
    return { hold: false, buy: false, end: status === "releasing", told: () => `Your hold: ${status}` };
  }
  return { hold: false, buy: true, end: true, told: (format) => `Held by you until ${format(until)}` };
}
