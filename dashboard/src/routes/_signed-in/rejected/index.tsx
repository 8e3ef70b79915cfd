import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import { readOneOf, readPage, readText } from "@/address";
import { type RejectedStone, replayRejectedStones } from "@/api/generated";
import { rejectedQuery } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { formatMoment, formatStones } from "@/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Choice } from "@/ui/choice";
import { Confirm } from "@/ui/confirm";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import { ShowOnly } from "@/ui/show-only";
import type { Column } from "@/ui/table";

const STATES = ["open", "resolved"] as const;

interface Search {
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
  const resolved = search.state === undefined ? undefined : search.state === "resolved";
  const stones = useQuery(
    rejectedQuery({ resolved, reason: search.reason, page: search.page, limit: PER_PAGE }),
  );
  const filter = (change: Search) => void navigate({ search: { ...search, page: undefined, ...change } });
  const total = stones.data?.pagination.total ?? 0;
  return (
    <Page
      title="Rejected stones"
      aside={search.reason !== undefined && <ReplayAll reason={search.reason} total={total} />}
    >
      <div className="flex flex-wrap items-center gap-3">
        <Choice label="State" options={STATES} value={search.state} onChange={(state) => filter({ state })} />
        {search.reason !== undefined && (
          <Button onClick={() => filter({ reason: undefined })}>Reason: {search.reason} ✕</Button>
        )}
      </div>
      <Panel title="What the supplier sent and cannot be sold">
        <PagedList
          of={stones}
          noun="stone"
          columns={columns((reason) => filter({ reason }))}
          keyOf={(stone) => `${stone.feed}/${stone.supplierStoneId}`}
          page={search.page ?? 1}
          onPage={(page) => void navigate({ search: { ...search, page } })}
          empty={<Empty title="No stone is in quarantine here.">Each answer could become a diamond.</Empty>}
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
        className="break-all text-accent underline"
      >
        {stone.supplierStoneId}
      </Link>
    ),
  },
  {
    title: "Reason",
    cell: (stone) => <ShowOnly value={stone.reason} onChoose={() => onReason(stone.reason)} />,
  },
  { title: "Where", cell: (stone) => <code className="text-xs break-all">{stone.jsonPath}</code> },
  {
    title: "State",
    cell: (stone) => (
      <Badge tone={stone.resolvedAt ? "good" : "bad"}>{stone.resolvedAt ? "resolved" : "open"}</Badge>
    ),
  },
  { title: "Last seen", cell: (stone) => formatMoment(stone.lastSeenAt) },
];

function ReplayAll({ reason, total }: { reason: string; total: number }) {
  const replay = useThenRefresh(["rejected"])(() => replayRejectedStones({ reason }));
  return (
    <Confirm action="Replay all of this reason" title={`Replay ${formatStones(total)}?`} onConfirm={replay}>
      The stored answers are mapped and priced anew, after a mistake of ours was mended. What still cannot be
      sold comes back here.
    </Confirm>
  );
}
