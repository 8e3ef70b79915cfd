import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import { cancelHold, type HoldOfClient, HoldStatus } from "@/api/generated";
import { holdsQuery, POLL_MILLISECONDS } from "@/api/queries";
import { TradeBadge } from "@/features/trade-tones";
import { formatMoment, NOTHING } from "@/format";
import { Choice } from "@/ui/choice";
import { Confirm } from "@/ui/confirm";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE, readPage } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import type { Column } from "@/ui/table";

const STATUSES = Object.values(HoldStatus);

interface Search {
  status?: HoldStatus;
  page?: number;
}

export const Route = createFileRoute("/_signed-in/holds")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    status: STATUSES.find((each) => each === search.status),
    page: readPage(search.page),
  }),
  component: Holds,
});

function Holds() {
  const { status, page } = Route.useSearch();
  const navigate = Route.useNavigate();
  const filters = { status: status && [status], page, limit: PER_PAGE };
  const holds = useQuery({ ...holdsQuery(filters), refetchInterval: POLL_MILLISECONDS });
  return (
    <Page title="Holds">
      <Choice
        label="Status"
        options={STATUSES}
        value={status}
        onChange={(chosen) => void navigate({ search: { status: chosen } })}
      />
      <Panel title="Those of which nobody knows first, then the newest">
        <PagedList
          of={holds}
          noun="hold"
          columns={COLUMNS}
          keyOf={(hold) => hold.id}
          page={page ?? 1}
          onPage={(next) => void navigate({ search: { status, page: next } })}
          empty={
            <Empty title="No hold here.">
              A shop reserves a stone with <code>POST /diamonds/ID/hold</code>.
            </Empty>
          }
        />
      </Panel>
    </Page>
  );
}

const COLUMNS: Column<HoldOfClient>[] = [
  { title: "Made", cell: (hold) => formatMoment(hold.createdAt) },
  { title: "Status", cell: (hold) => <TradeBadge status={hold.status} /> },
  { title: "Until", cell: (hold) => formatMoment(hold.until) },
  { title: "Client", cell: (hold) => <code className="text-xs break-all">{hold.client ?? NOTHING}</code> },
  {
    title: "Stone",
    cell: (hold) => <code className="text-xs break-all">{hold.diamondId ?? hold.offerId}</code>,
  },
  { title: "What is known", cell: (hold) => hold.reason ?? (hold.byHand ? "noted by a person" : NOTHING) },
  { title: "What to do", cell: (hold) => (hold.status === "active" ? <EndHold hold={hold} /> : NOTHING) },
];

function EndHold({ hold }: { hold: HoldOfClient }) {
  const queryClient = useQueryClient();
  const end = async () => {
    await cancelHold({ holdId: hold.id });
    await queryClient.invalidateQueries({ queryKey: ["holds"] });
  };
  return (
    <Confirm action="End hold" look="danger" title="End this hold?" onConfirm={end}>
      At the supplier and here. Anybody may hold or buy the stone then, {hold.client ?? "its client"} would
      have had it until {formatMoment(hold.until)}.
    </Confirm>
  );
}
