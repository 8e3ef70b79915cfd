import type { Facets, FeedCounts, PricingRule } from "@/api/generated";
import { isTriedBefore } from "./rule-order";
import { type Criteria, stonesOf, typeWord } from "./rule-words";

/** What the stones of the catalogue are; what is not known is left out, and nothing is warned of. */
export interface Present {
  shapes?: string[];
  types?: boolean[];
  feeds?: string[];
}

export function presentOf(facets: Facets | undefined, feeds: FeedCounts[] | undefined): Present {
  const hasStones = facets !== undefined && facets.total > 0;
  return {
    shapes: hasStones ? facets.shape.flatMap(({ value }) => value ?? []) : undefined,
    types: hasStones ? facets.labGrown.map(({ value }) => value) : undefined,
    feeds: feeds !== undefined && feeds.length > 0 ? feeds.map(({ feed }) => feed) : undefined,
  };
}

/** Whether every stone that `other` matches is matched by `rule` too. */
export function covers(rule: Criteria, other: Criteria): boolean {
  return (
    (rule.caratMin ?? 0) <= (other.caratMin ?? 0) &&
    (rule.caratMax ?? Number.POSITIVE_INFINITY) >= (other.caratMax ?? Number.POSITIVE_INFINITY) &&
    (rule.shapes === null || (other.shapes?.every((shape) => rule.shapes?.includes(shape)) ?? false)) &&
    (rule.labGrown === null || rule.labGrown === other.labGrown) &&
    (rule.feed === null || rule.feed === other.feed)
  );
}

/** Why a rule prices nothing, or less than it seems to. `tried` are the active rules, in order. */
export function warningsOf(rule: PricingRule, tried: readonly PricingRule[], present: Present): string[] {
  const warnings = missingOf(rule, present);
  const index = tried.findIndex((each) => isTriedBefore(each, rule) && covers(each, rule));
  const shadow = tried[index];
  if (shadow !== undefined) {
    warnings.push(
      `Never applied: rule ${index + 1} (${stonesOf(shadow)}) is tried before it and matches all that it matches.`,
    );
  }
  return warnings;
}

function missingOf(rule: PricingRule, { shapes, types, feeds }: Present): string[] {
  const missing = (shapes && rule.shapes?.filter((shape) => !shapes.includes(shape))) ?? [];
  const warnings: string[] = [];
  if (missing.length > 0) {
    const isAll = missing.length === rule.shapes?.length;
    warnings.push(
      `${isAll ? "Matches nothing: no" : "No"} stone in the catalogue is ${missing.join(" or ")}.`,
    );
  }
  if (rule.labGrown !== null && types?.includes(rule.labGrown) === false) {
    warnings.push(`Matches nothing: no stone in the catalogue is ${typeWord(rule.labGrown)}.`);
  }
  if (rule.feed !== null && feeds?.includes(rule.feed) === false) {
    warnings.push(`Matches nothing: no stone in the catalogue is of the feed ${rule.feed}.`);
  }
  return warnings;
}
