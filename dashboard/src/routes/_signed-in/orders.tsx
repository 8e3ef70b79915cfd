import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import { readOneOf, readPage } from "@/address";
import { type OrderOfClient, OrderStatus } from "@/api/generated";
import { ordersQuery, POLL_MILLISECONDS } from "@/api/queries";
import { ResolveOrder } from "@/features/resolve-order";
import { ClientName, StoneLink } from "@/features/trade-cells";
import { TradeList } from "@/features/trade-list";
import { TradeBadge } from "@/features/trade-tones";
import { formatCents, formatMoment, NOTHING } from "@/format";
import { Button } from "@/ui/button";
import { Empty } from "@/ui/notices";
import { PER_PAGE } from "@/ui/paged-list";
import type { Column } from "@/ui/table";

const STATUSES = Object.values(OrderStatus);

interface Search {
  status?: OrderStatus;
  page?: number;
}

export const Route = createFileRoute("/_signed-in/orders")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    status: readOneOf(STATUSES, search.status),
    page: readPage(search.page),
  }),
  component: Orders,
});

function Orders() {
  const search = Route.useSearch();
  const navigate = Route.useNavigate();
  const filters = { status: search.status && [search.status], page: search.page, limit: PER_PAGE };
  const orders = useQuery({ ...ordersQuery(filters), refetchInterval: POLL_MILLISECONDS });
  return (
    <TradeList
      title="Orders"
      noun="order"
      statuses={STATUSES}
      search={search}
      onSearch={(next) => void navigate({ search: next })}
      of={orders}
      columns={COLUMNS}
      empty={
        search.status === undefined ? (
          <Empty title="Nothing has been ordered yet.">
            <Link to="/diamonds" className="text-accent underline">
              Stones are bought here
            </Link>
            , or by a shop through the API.
          </Empty>
        ) : (
          <Empty title={`No order is ${search.status}.`}>
            <Button onClick={() => void navigate({ search: {} })}>Show all orders</Button>
          </Empty>
        )
      }
    />
  );
}

const canBeSettled = ({ status }: OrderOfClient) => status === "unknown" || status === "ordered";

const COLUMNS: Column<OrderOfClient>[] = [
  { title: "Made", cell: (order) => formatMoment(order.createdAt) },
  { title: "Status", cell: (order) => <TradeBadge status={order.status} /> },
  { title: "Client", cell: (order) => <ClientName of={order} /> },
  { title: "Reference", cell: (order) => order.reference ?? NOTHING },
  { title: "Stone", cell: (order) => <StoneLink of={order} /> },
  {
    title: "Cost",
    cell: (order) => formatCents(order.feedPriceCents),
    numeric: true,
  },
  {
    title: "Supplier's id",
    cell: (order) => <code className="text-xs">{order.feedOrderId ?? NOTHING}</code>,
  },
  { title: "What is known", cell: (order) => order.reason ?? order.resolutionNote ?? NOTHING },
  { title: "What to do", cell: (order) => (canBeSettled(order) ? <ResolveOrder order={order} /> : NOTHING) },
];
