import { changePricingRule, deactivatePricingRule, type PricingRule } from "@/api/generated";
import { pricingRulesQuery } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { Confirm } from "@/ui/confirm";
import { isTriedBefore } from "./rule-order";
import { stonesOf } from "./rule-words";

/** What the API does with a stone that no rule matches. */
export const WITHOUT_RULE = "sold at 1.15 times its cost, with rating 5";

/** Which stones a change of the rules changes. */
export const FROM_NOW_ON =
  "the stones that are consolidated from now on; those already in the catalogue keep their price until their feed shows them changed.";

interface Props {
  rule: PricingRule;
  tried: PricingRule[];
}

export function DeactivateRule({ rule, tried }: Props) {
  const deactivate = useThenRefresh(pricingRulesQuery.queryKey)(() => deactivatePricingRule(rule.id));
  const later = tried.length - 1 - tried.indexOf(rule);
  return (
    <Confirm
      action="Deactivate"
      look="danger"
      title={`Deactivate the rule “${stonesOf(rule)}”?`}
      onConfirm={deactivate}
    >
      {later === 0
        ? `It is the last of ${tried.length}: what only it matches is ${WITHOUT_RULE}.`
        : `Of ${tried.length} rules it is number ${tried.indexOf(rule) + 1}: its stones go on to the ${later} behind it, and what none of them matches is ${WITHOUT_RULE}.`}{" "}
      This changes {FROM_NOW_ON} The rule stays among the inactive ones and can be taken back.
    </Confirm>
  );
}

export function ReactivateRule({ rule, tried }: Props) {
  const reactivate = useThenRefresh(pricingRulesQuery.queryKey)(() =>
    changePricingRule(rule.id, { active: true }),
  );
  const place = tried.filter((each) => isTriedBefore(each, rule)).length + 1;
  return (
    <Confirm
      action="Reactivate"
      look="primary"
      title={`Take the rule “${stonesOf(rule)}” back?`}
      onConfirm={reactivate}
    >
      Its priority {rule.priority} makes it number {place} of {tried.length + 1}. This changes {FROM_NOW_ON}
    </Confirm>
  );
}
