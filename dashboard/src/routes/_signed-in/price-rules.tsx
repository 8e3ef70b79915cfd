import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import { readOneOf } from "@/address";
import { facetsQuery, feedsQuery, meQuery, pricingRulesQuery } from "@/api/queries";
import { RuleEditor } from "@/features/rule-editor";
import { FROM_NOW_ON, WITHOUT_RULE } from "@/features/rule-steps";
import { RuleTable } from "@/features/rule-table";
import { presentOf } from "@/features/rule-warnings";
import { counted } from "@/format";
import { Answer } from "@/ui/answer";
import { Choice } from "@/ui/choice";
import { Empty } from "@/ui/notices";
import { Page, Panel } from "@/ui/panel";

/** Beside the active ones, which need no word. */
const STATES = ["inactive", "all"] as const;

interface Search {
  state?: (typeof STATES)[number];
}

export const Route = createFileRoute("/_signed-in/price-rules")({
  validateSearch: (search: Record<string, unknown>): Search => ({ state: readOneOf(STATES, search.state) }),
  component: PriceRules,
});

function PriceRules() {
  const { state } = Route.useSearch();
  const navigate = Route.useNavigate();
  const permissions = useQuery(meQuery).data?.permissions ?? [];
  const mayChange = permissions.includes("admin");
  const rules = useQuery(pricingRulesQuery);
  const facets = useQuery({ ...facetsQuery({}), enabled: permissions.includes("read") });
  const feeds = useQuery({ ...feedsQuery, enabled: mayChange });
  return (
    <Page title="Price rules" aside={mayChange && <RuleEditor />}>
      <p className="max-w-3xl text-muted">
        The first rule that matches a stone prices it; what none matches is {WITHOUT_RULE}. A change prices{" "}
        {FROM_NOW_ON}
      </p>
      <Choice
        label="State"
        any="active"
        options={STATES}
        value={state}
        onChange={(chosen) => void navigate({ search: { state: chosen } })}
      />
      <Panel
        title="In the order in which they are tried"
        aside={mayChange && <span className="text-muted">Drag an active rule, or move it by its arrows</span>}
      >
        <Answer of={rules}>
          {(all) => {
            const shown = all.filter(({ active }) => state === "all" || active === (state === undefined));
            return shown.length === 0 ? (
              <NoRule state={state} />
            ) : (
              <>
                <RuleTable
                  rules={shown}
                  tried={all.filter(({ active }) => active)}
                  present={presentOf(facets.data, feeds.data)}
                  mayChange={mayChange}
                />
                <p className="mt-3 text-muted">{counted(shown.length, "rule")}</p>
              </>
            );
          }}
        </Answer>
      </Panel>
    </Page>
  );
}

function NoRule({ state }: Search) {
  if (state === "inactive") return <Empty title="No rule is inactive." />;
  return <Empty title="No rule is active.">Until one is made, every stone is {WITHOUT_RULE}.</Empty>;
}
