import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import type { LiveOffer } from "@/api/generated";
import { offerCountQuery, offersQuery } from "@/api/queries";
import { AvailabilityBadge } from "@/features/diamond-card";
import { isAtFields } from "@/features/field-problem";
import { certificateOf, OfferDialog } from "@/features/offer-dialog";
import { OfferForm } from "@/features/offer-form";
import {
  countBodyOf,
  type OfferSearch,
  RANGES,
  readOfferSearch,
  searchBodyOf,
} from "@/features/offer-search";
import { counted, formatCents, formatMoment, NOTHING } from "@/format";
import { Answer } from "@/ui/answer";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import type { Column } from "@/ui/table";

export const Route = createFileRoute("/_signed-in/nivoda")({
  validateSearch: readOfferSearch,
  component: Nivoda,
});

/** Nothing is asked by an address alone: a link that is opened, or a reload, must not spend the budget. */
function Nivoda() {
  const search = Route.useSearch();
  const navigate = Route.useNavigate();
  const queryClient = useQueryClient();
  const offers = useQuery({ ...offersQuery(searchBodyOf(search, PER_PAGE)), enabled: false });
  const count = useQuery({ ...offerCountQuery(countBodyOf(search)), enabled: false });
  const ask = (next: OfferSearch) => {
    void navigate({ search: next, resetScroll: false });
    void queryClient.prefetchQuery({ ...offersQuery(searchBodyOf(next, PER_PAGE)), staleTime: 0 });
  };
  const askCount = (next: OfferSearch) => {
    void navigate({ search: next, resetScroll: false });
    void queryClient.prefetchQuery({ ...offerCountQuery(countBodyOf(next)), staleTime: 0 });
  };
  const askedAt = offers.data?.askedAt ?? "";
  return (
    <Page title="Nivoda">
      <Panel title="Which offers">
        <OfferForm
          search={search}
          error={offers.error ?? count.error}
          isBusy={offers.isFetching || count.isFetching}
          onSearch={ask}
          onCount={askCount}
        />
        {!isUnasked(count) && !isAtFields(count.error, RANGES) && (
          <div role="status" className="mt-3">
            <Answer of={count} rows={1}>
              {(total) =>
                `${counted(total, "offer")} at ${formatMoment(new Date(count.dataUpdatedAt).toISOString())}`
              }
            </Answer>
          </div>
        )}
      </Panel>
      <Panel title={askedAt === "" ? "Offers" : `Offers at ${formatMoment(askedAt)}, the oldest first`}>
        {isAtFields(offers.error, RANGES) ? (
          <Empty title="This cannot be asked.">Above stands what to change.</Empty>
        ) : isUnasked(offers) ? (
          <Empty title="Nothing has been asked yet.">Press Search to ask the supplier.</Empty>
        ) : (
          <PagedList
            of={offers}
            noun="offer"
            columns={columns(askedAt)}
            keyOf={(offer) => offer.offerId}
            page={search.page ?? 1}
            onPage={(page) => ask({ ...search, page })}
            empty={<Empty title="The supplier has no such offer now.">Take one filter away.</Empty>}
            words={["Older", "Newer"]}
          />
        )}
      </Panel>
    </Page>
  );
}

const isUnasked = ({ isPending, isFetching }: { isPending: boolean; isFetching: boolean }): boolean =>
  isPending && !isFetching;

const columns = (foundAt: string): Column<LiveOffer>[] => [
  { title: "Stone", cell: (offer) => <OfferDialog offer={offer} foundAt={foundAt} /> },
  { title: "Certificate", cell: (offer) => certificateOf(offer) ?? NOTHING },
  { title: "Availability", cell: ({ diamond }) => <AvailabilityBadge availability={diamond.availability} /> },
  { title: "Cost", cell: (offer) => formatCents(offer.priceCents), numeric: true },
  { title: "Vendor", cell: ({ diamond }) => diamond.supplier?.name ?? NOTHING },
  { title: "Offer id", cell: (offer) => <code className="text-xs break-all">{offer.offerId}</code> },
  { title: "Stone's id", cell: ({ diamond }) => <code className="text-xs break-all">{diamond.id}</code> },
  { title: "Stock id", cell: ({ diamond }) => diamond.stockId ?? NOTHING },
];
