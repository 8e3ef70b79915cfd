import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import { readOneOf, readPage, readText } from "@/address";
import { type RejectedStone, replayRejectedStones } from "@/api/generated";
import { rejectedQuery } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { openOfReason, ReasonList } from "@/features/reason-list";
import { formatMoment, formatStones } from "@/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import { Select } from "@/ui/select";
import { ShowOnly } from "@/ui/show-only";
import type { Column } from "@/ui/table";

const STATES = ["open", "resolved", "all"] as const;

interface Search {
  /** Without it, what still waits. */
  state?: (typeof STATES)[number];
  reason?: string;
  page?: number;
}

export const Route = createFileRoute("/_signed-in/rejected/")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    state: readOneOf(STATES, search.state),
    reason: readText(search.reason),
    page: readPage(search.page),
  }),
  component: Rejected,
});

function Rejected() {
  const search = Route.useSearch();
  const navigate = Route.useNavigate();
  const { state = "open", reason } = search;
  const resolved = state === "all" ? undefined : state === "resolved";
  const stones = useQuery(rejectedQuery({ resolved, reason, page: search.page, limit: PER_PAGE }));
  const filter = (change: Search) => void navigate({ search: { ...search, page: undefined, ...change } });
  return (
    <Page title="Rejected stones" aside={reason !== undefined && <ReplayAll reason={reason} />}>
      <div className="flex flex-wrap items-center gap-3">
        <Select
          label="State"
          options={STATES}
          value={state}
          onChange={(chosen) => filter({ state: chosen === "open" ? undefined : chosen })}
        />
        {reason !== undefined && (
          <Button onClick={() => filter({ reason: undefined })}>Reason: {reason} ✕</Button>
        )}
      </div>
      <Panel title="By reason">
        <ReasonList state={state} chosen={reason} onChoose={(each) => filter({ reason: each })} />
      </Panel>
      <Panel title="What the supplier sent and cannot be sold">
        <PagedList
          of={stones}
          noun="stone"
          columns={columns((reason) => filter({ reason }))}
          keyOf={(stone) => `${stone.feed}/${stone.supplierStoneId}`}
          page={search.page ?? 1}
          onPage={(page) => void navigate({ search: { ...search, page } })}
          empty={
            state === "open" && reason === undefined ? (
              <Empty title="No stone is in quarantine.">Each answer could become a diamond.</Empty>
            ) : (
              <Empty title="No stone is like that.">
                <Button onClick={() => void navigate({ search: { state: "all" } })}>Show all</Button>
              </Empty>
            )
          }
        />
      </Panel>
    </Page>
  );
}

const columns = (onReason: (reason: string) => void): Column<RejectedStone>[] => [
  {
    title: "Stone",
    cell: (stone) => (
      <Link
        to="/rejected/$feed/$stoneId"
        params={{ feed: stone.feed, stoneId: stone.supplierStoneId }}
        className="inline-block min-w-44 wrap-anywhere text-accent underline"
      >
        {stone.supplierStoneId}
      </Link>
    ),
  },
  {
    title: "Reason",
    cell: (stone) => <ShowOnly value={stone.reason} onChoose={() => onReason(stone.reason)} />,
  },
  {
    title: "Where",
    cell: (stone) => <code className="inline-block min-w-40 text-xs wrap-anywhere">{stone.jsonPath}</code>,
  },
  {
    title: "State",
    cell: (stone) => (
      <Badge tone={stone.resolvedAt ? "good" : "bad"}>{stone.resolvedAt ? "resolved" : "open"}</Badge>
    ),
  },
  { title: "Last seen", cell: (stone) => formatMoment(stone.lastSeenAt) },
];

/** Only what is in quarantine is mapped anew, whatever the list shows. */
function ReplayAll({ reason }: { reason: string }) {
  const total = useQuery(openOfReason(reason)).data?.pagination.total ?? 0;
  const replay = useThenRefresh(["rejected"], ["found"])(() => replayRejectedStones({ reason }));
  return (
    <Confirm
      action="Replay all of this reason"
      title={`Replay ${formatStones(total)}?`}
      done={`The replay of ${formatStones(total)} has begun.`}
      disabled={total === 0}
      onConfirm={replay}
    >
      The stored answers of {formatStones(total)} are mapped and priced anew, after a mistake of ours was
      mended. What still cannot be sold comes back here.
    </Confirm>
  );
}
