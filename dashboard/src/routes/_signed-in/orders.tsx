import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import { type OrderOfClient, OrderStatus } from "@/api/generated";
import { ordersQuery, POLL_MILLISECONDS } from "@/api/queries";
import { ResolveOrder } from "@/features/resolve-order";
import { TradeBadge } from "@/features/trade-tones";
import { formatCents, formatMoment, NOTHING } from "@/format";
import { Choice } from "@/ui/choice";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE, readPage } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import type { Column } from "@/ui/table";

const STATUSES = Object.values(OrderStatus);

interface Search {
  status?: OrderStatus;
  page?: number;
}

export const Route = createFileRoute("/_signed-in/orders")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    status: STATUSES.find((each) => each === search.status),
    page: readPage(search.page),
  }),
  component: Orders,
});

function Orders() {
  const { status, page } = Route.useSearch();
  const navigate = Route.useNavigate();
  const filters = { status: status && [status], page, limit: PER_PAGE };
  const orders = useQuery({ ...ordersQuery(filters), refetchInterval: POLL_MILLISECONDS });
  return (
    <Page title="Orders">
      <Choice
        label="Status"
        options={STATUSES}
        value={status}
        onChange={(chosen) => void navigate({ search: { status: chosen } })}
      />
      <Panel title="Those of which nobody knows first, then the newest">
        <PagedList
          of={orders}
          noun="order"
          columns={COLUMNS}
          keyOf={(order) => order.id}
          page={page ?? 1}
          onPage={(next) => void navigate({ search: { status, page: next } })}
          empty={
            <Empty title="No order here.">
              A shop buys with <code>POST /diamonds/ID/purchase</code>.
            </Empty>
          }
        />
      </Panel>
    </Page>
  );
}

const canBeSettled = ({ status }: OrderOfClient) => status === "unknown" || status === "ordered";

const COLUMNS: Column<OrderOfClient>[] = [
  { title: "Made", cell: (order) => formatMoment(order.createdAt) },
  { title: "Status", cell: (order) => <TradeBadge status={order.status} /> },
  { title: "Client", cell: (order) => <code className="text-xs break-all">{order.client ?? NOTHING}</code> },
  { title: "Reference", cell: (order) => order.reference ?? NOTHING },
  {
    title: "Stone",
    cell: (order) => <code className="text-xs break-all">{order.diamondId ?? order.offerId}</code>,
  },
  {
    title: "Cost",
    cell: (order) => (typeof order.feedPriceCents === "number" ? formatCents(order.feedPriceCents) : NOTHING),
    numeric: true,
  },
  {
    title: "Supplier's id",
    cell: (order) => <code className="text-xs">{order.feedOrderId ?? NOTHING}</code>,
  },
  { title: "What is known", cell: (order) => order.reason ?? order.resolutionNote ?? NOTHING },
  { title: "What to do", cell: (order) => (canBeSettled(order) ? <ResolveOrder order={order} /> : NOTHING) },
];
