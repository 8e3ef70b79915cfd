import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import { readOneOf, readPage, readText } from "@/address";
import { alertsQuery, POLL_MILLISECONDS } from "@/api/queries";
import { AlertCard } from "@/features/alert-card";
import { Button } from "@/ui/button";
import { Choice } from "@/ui/choice";
import { Empty } from "@/ui/notices";
import { PER_PAGE } from "@/ui/paged-list";
import { Pages } from "@/ui/pages";
import { Page } from "@/ui/panel";

const STATES = ["open", "over"] as const;

interface Search {
  state?: (typeof STATES)[number];
  event?: string;
  page?: number;
}

export const Route = createFileRoute("/_signed-in/alerts")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    state: readOneOf(STATES, search.state),
    event: readText(search.event),
    page: readPage(search.page),
  }),
  component: Alerts,
});

function Alerts() {
  const { state, event, page } = Route.useSearch();
  const navigate = Route.useNavigate();
  const open = state && state === "open";
  const alerts = useQuery({
    ...alertsQuery({ open, event, page, limit: PER_PAGE }),
    // What became of the messages changes later than the alerts.
    refetchInterval: POLL_MILLISECONDS,
  });
  const filter = (change: Search) => void navigate({ search: { state, event, ...change } });
  return (
    <Page title="Alerts">
      <div className="flex flex-wrap items-center gap-3">
        <Choice
          label="State"
          options={STATES}
          value={state}
          any="all, the open ones first"
          onChange={(chosen) => filter({ state: chosen })}
        />
        {event !== undefined && <Button onClick={() => filter({ event: undefined })}>Kind: {event} ✕</Button>}
      </div>
      <Pages
        of={alerts}
        noun="alert"
        page={page ?? 1}
        perPage={PER_PAGE}
        onPage={(next) => filter({ page: next })}
        empty={
          state === undefined && event === undefined ? (
            <Empty title="Nothing has been wrong yet." />
          ) : (
            <Empty title={event === undefined ? `No alert is ${state}.` : `No such alert of ${event}.`}>
              <Button onClick={() => void navigate({ search: {} })}>Show all alerts</Button>
            </Empty>
          )
        }
      >
        {(rows) => (
          <ul className="flex flex-col gap-4">
            {rows.map((alert) => (
              <li key={alert.id}>
                <AlertCard alert={alert} onEvent={(kind) => filter({ event: kind })} />
              </li>
            ))}
          </ul>
        )}
      </Pages>
    </Page>
  );
}
