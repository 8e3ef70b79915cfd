import type { NewPricingRule, PricingRule, PricingRuleChange } from "@/api/generated";
import { labGrownOf } from "./diamond-search";
import { percentOfRatio, ratioOfPercent } from "./rule-words";

/** A rule as it stands in the form: what a person wrote, and no shape, type, feed or rating for "any". */
export interface RuleDraft {
  priority: string;
  shapes?: string[];
  types?: string[];
  caratMin: string;
  caratMax: string;
  feed?: string;
  percent: string;
  ratio: string;
  rating?: string;
}

/** What the API's own default is. */
const NEW_PRIORITY = "100";

export const draftOf = (rule: PricingRule | undefined): RuleDraft => ({
  priority: textOf(rule?.priority) || NEW_PRIORITY,
  shapes: rule?.shapes ?? undefined,
  types: typeof rule?.labGrown === "boolean" ? [String(rule.labGrown)] : undefined,
  caratMin: textOf(rule?.caratMin),
  caratMax: textOf(rule?.caratMax),
  feed: rule?.feed ?? undefined,
  percent: rule === undefined ? "" : String(percentOfRatio(rule.markupRatio)),
  ratio: textOf(rule?.markupRatio),
  rating: textOf(rule?.rating) || undefined,
});

export const ruleOf = (draft: RuleDraft) =>
  ({
    priority: Number(draft.priority),
    shapes: draft.shapes ?? null,
    labGrown: labGrownOf(draft.types) ?? null,
    caratMin: numberOf(draft.caratMin),
    caratMax: numberOf(draft.caratMax),
    feed: draft.feed ?? null,
    markupRatio: Number(draft.ratio),
    rating: numberOf(draft.rating),
  }) satisfies NewPricingRule;

/** What is to be different: what another person changed meanwhile stays. */
export function changesOf(rule: PricingRule, draft: RuleDraft): PricingRuleChange {
  const wanted = Object.entries(ruleOf(draft)) as [keyof NewPricingRule, unknown][];
  return Object.fromEntries(wanted.filter(([name, value]) => sortedText(value) !== sortedText(rule[name])));
}

/** Whether there is something in the form that would be lost. */
export const isChanged = (rule: PricingRule | undefined, draft: RuleDraft): boolean =>
  JSON.stringify(draft) !== JSON.stringify(draftOf(rule));

/** One markup, written in either field: the other follows. */
export const withPercent = (draft: RuleDraft, percent: string): RuleDraft => ({
  ...draft,
  percent,
  ratio: percent === "" ? "" : String(ratioOfPercent(Number(percent))),
});

export const withRatio = (draft: RuleDraft, ratio: string): RuleDraft => ({
  ...draft,
  ratio,
  percent: ratio === "" ? "" : String(percentOfRatio(Number(ratio))),
});

const textOf = (value: number | null | undefined): string => String(value ?? "");

const numberOf = (text: string | undefined): number | null =>
  text === undefined || text === "" ? null : Number(text);

/** The order of a rule's shapes means nothing. */
const sortedText = (value: unknown): string =>
  JSON.stringify(Array.isArray(value) ? value.toSorted() : value);
