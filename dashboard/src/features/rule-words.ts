import type { PricingRule } from "@/api/generated";

export type Criteria = Pick<PricingRule, "caratMin" | "caratMax" | "shapes" | "labGrown" | "feed">;

export const typeWord = (labGrown: boolean): string => (labGrown ? "lab-grown" : "natural");

/** Which stones a rule is for: "OVAL or PEAR, natural, 1.00 to 2.00 ct". */
export function stonesOf(rule: Criteria): string {
  const words = [
    rule.shapes?.join(" or "),
    rule.labGrown === null ? null : typeWord(rule.labGrown),
    caratsOf(rule),
    rule.feed === null ? null : `feed ${rule.feed}`,
  ];
  return words.filter(Boolean).join(", ") || "every stone";
}

function caratsOf({ caratMin, caratMax }: Criteria): string | null {
  if (caratMin === null) return caratMax === null ? null : `up to ${caratMax.toFixed(2)} ct`;
  if (caratMax === null) return `from ${caratMin.toFixed(2)} ct`;
  return `${caratMin.toFixed(2)} to ${caratMax.toFixed(2)} ct`;
}

/** Of a hundred: 1.15 adds 15, and 0.9 takes 10 away. */
export const percentOfRatio = (ratio: number): number => withoutNoise(100 * (ratio - 1));

export const ratioOfPercent = (percent: number): number => withoutNoise(1 + percent / 100);

/** "+15 %"; a ratio has four decimals, so its percent has two. */
export function formatMarkup(ratio: number): string {
  const percent = percentOfRatio(ratio);
  return `${percent < 0 ? "−" : "+"}${Math.abs(percent)} %`;
}

/** What binary fractions add behind the eighth decimal; what a person wrote there stays, for the API to refuse. */
const withoutNoise = (value: number): number => Number(value.toFixed(8));
