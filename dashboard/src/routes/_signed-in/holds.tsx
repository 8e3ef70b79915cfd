import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import { readOneOf, readPage } from "@/address";
import { cancelHold, type HoldOfClient, HoldStatus } from "@/api/generated";
import { holdsQuery, POLL_MILLISECONDS } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { ClientName, StoneLink } from "@/features/trade-cells";
import { TradeList } from "@/features/trade-list";
import { TradeBadge } from "@/features/trade-tones";
import { formatMoment, NOTHING } from "@/format";
import { Button } from "@/ui/button";
import { Confirm } from "@/ui/confirm";
import { Empty } from "@/ui/notices";
import { PER_PAGE } from "@/ui/paged-list";
import type { Column } from "@/ui/table";

const STATUSES = Object.values(HoldStatus);

interface Search {
  status?: HoldStatus;
  page?: number;
}

export const Route = createFileRoute("/_signed-in/holds")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    status: readOneOf(STATUSES, search.status),
    page: readPage(search.page),
  }),
  component: Holds,
});

function Holds() {
  const search = Route.useSearch();
  const navigate = Route.useNavigate();
  const filters = { status: search.status && [search.status], page: search.page, limit: PER_PAGE };
  const holds = useQuery({ ...holdsQuery(filters), refetchInterval: POLL_MILLISECONDS });
  return (
    <TradeList
      title="Holds"
      noun="hold"
      statuses={STATUSES}
      search={search}
      onSearch={(next) => void navigate({ search: next })}
      of={holds}
      columns={COLUMNS}
      empty={
        search.status === undefined ? (
          <Empty title="Nothing has been held yet.">
            <Link to="/diamonds" className="text-accent underline">
              Stones are held here
            </Link>
            , or by a shop through the API.
          </Empty>
        ) : (
          <Empty title={`No hold is ${search.status}.`}>
            <Button onClick={() => void navigate({ search: {} })}>Show all holds</Button>
          </Empty>
        )
      }
    />
  );
}

const COLUMNS: Column<HoldOfClient>[] = [
  { title: "Made", cell: (hold) => formatMoment(hold.createdAt) },
  { title: "Status", cell: (hold) => <TradeBadge status={hold.status} /> },
  { title: "Until", cell: (hold) => formatMoment(hold.until) },
  { title: "Client", cell: (hold) => <ClientName of={hold} /> },
  { title: "Stone", cell: (hold) => <StoneLink of={hold} /> },
  { title: "What is known", cell: (hold) => hold.reason ?? (hold.byHand ? "noted by a person" : NOTHING) },
  { title: "What to do", cell: (hold) => (hold.status === "active" ? <EndHold hold={hold} /> : NOTHING) },
];

function EndHold({ hold }: { hold: HoldOfClient }) {
  const end = useThenRefresh(["holds"])(() => cancelHold({ holdId: hold.id }));
  return (
    <Confirm action="End hold" look="danger" title="End this hold?" onConfirm={end}>
      At the supplier and here. Anybody may hold or buy the stone then,{" "}
      {hold.clientName ?? hold.client ?? "its client"} would have had it until {formatMoment(hold.until)}.
    </Confirm>
  );
}
