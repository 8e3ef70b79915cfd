import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { changePricingRule, type PricingRule } from "@/api/generated";
import { pricingRulesQuery } from "@/api/queries";
import { counted } from "@/format";
import { planMove } from "./rule-order";
import { stonesOf } from "./rule-words";

/** Moves an active rule among the others, and tells where it stands then by what the API answers. */
export function useMoveRule(tried: PricingRule[]) {
  const queryClient = useQueryClient();
  const [isBusy, setBusy] = useState(false);
  const [news, setNews] = useState("");
  const [error, setError] = useState<Error | null>(null);

  const tellPlace = (before: string, rule: PricingRule, after: string) => {
    const now = (queryClient.getQueryData(pricingRulesQuery.queryKey) ?? []).filter(({ active }) => active);
    const place = now.findIndex(({ id }) => id === rule.id) + 1;
    setNews(`${before} The rule “${stonesOf(rule)}” is number ${place} of ${now.length}${after}.`);
  };

  const save = async (rule: PricingRule, from: number, to: number) => {
    const changes = planMove(tried, from, to);
    let saved = 0;
    setBusy(true);
    setError(null);
    try {
      for (const { id, priority } of changes) {
        await changePricingRule(id, { priority });
        saved += 1;
      }
    } catch (failure) {
      setError(failure as Error);
    }
    await queryClient.invalidateQueries({ queryKey: pricingRulesQuery.queryKey });
    setBusy(false);
    const done = `${saved} of ${counted(changes.length, "new number")} saved.`;
    tellPlace(saved === changes.length ? "Saved." : done, rule, ` now; ${counted(saved, "rule")} changed`);
  };

  const move = (rule: PricingRule, to: number) => {
    const from = tried.findIndex(({ id }) => id === rule.id);
    if (isBusy || from < 0) return;
    if (to === from || tried[to] === undefined) tellPlace("Nothing to do.", rule, " already");
    else void save(rule, from, to);
  };

  return { move, isBusy, news, error };
}
