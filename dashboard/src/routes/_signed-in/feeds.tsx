import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import { readPage } from "@/address";
import { Availability, type FeedCounts, type SupplierCounts } from "@/api/generated";
import { feedsQuery, POLL_MILLISECONDS, suppliersQuery } from "@/api/queries";
import { formatAge, formatCents, formatCount, formatMoment, formatPercent } from "@/format";
import { Answer } from "@/ui/answer";
import { Bars } from "@/ui/bars";
import { Figure, FigureRow } from "@/ui/figure";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import type { Column } from "@/ui/table";
import { useNow } from "@/ui/use-now";

const LARGEST = { limit: 10 };

interface Search {
  page?: number;
}

export const Route = createFileRoute("/_signed-in/feeds")({
  validateSearch: (search: Record<string, unknown>): Search => ({ page: readPage(search.page) }),
  component: Feeds,
});

function Feeds() {
  const { page } = Route.useSearch();
  const navigate = Route.useNavigate();
  const feeds = useQuery({ ...feedsQuery, refetchInterval: POLL_MILLISECONDS });
  const vendors = useQuery(suppliersQuery({ page, limit: PER_PAGE }));
  const stones = feeds.data?.reduce((sum, { totalDiamonds }) => sum + totalDiamonds, 0);
  return (
    <Page title="Feeds" aside={<StoneLinks />}>
      <Answer of={feeds} rows={8}>
        {(data) =>
          data.length === 0 ? (
            <Empty title="No feed has a stone on sale.">
              <Link to="/runs" className="text-accent underline">
                Start a full run
              </Link>
            </Empty>
          ) : (
            data.map((feed) => <Feed key={feed.feed} feed={feed} />)
          )
        }
      </Answer>
      <Panel title="The largest vendors">
        <LargestVendors stones={stones} />
      </Panel>
      <Panel title="Every vendor, the one with the most stones first">
        <PagedList
          of={vendors}
          noun="vendor"
          columns={COLUMNS}
          keyOf={(vendor) => vendor.supplierName ?? ""}
          page={page ?? 1}
          onPage={(next) => void navigate({ search: { page: next }, resetScroll: false })}
          empty={<NoVendor />}
          words={["Larger", "Smaller"]}
        />
      </Panel>
    </Page>
  );
}

function StoneLinks() {
  return (
    <p className="flex flex-wrap gap-x-3 gap-y-1">
      <span className="text-muted">Stones of every feed:</span>
      {Object.values(Availability).map((availability) => (
        <Link
          key={availability}
          to="/diamonds"
          search={{ availability: [availability] }}
          className="text-accent underline"
        >
          {availability.replace("_", " ")}
        </Link>
      ))}
    </p>
  );
}

function Feed({ feed }: { feed: FeedCounts }) {
  const now = useNow();
  return (
    <Panel title={feed.feed}>
      <div className="grid gap-4 xl:grid-cols-[2fr_1fr]">
        <FigureRow>
          <Figure label="Stones">{formatCount(feed.totalDiamonds)}</Figure>
          <Figure
            label="Cost on average"
            note={`${formatCents(feed.minFeedPriceCents)} to ${formatCents(feed.maxFeedPriceCents)}`}
          >
            {formatCents(feed.avgFeedPriceCents)}
          </Figure>
          <Figure label="Price on average" note="by the price rules">
            {formatCents(feed.avgPriceModelPriceCents)}
          </Figure>
          <Figure label="Last changed" note={formatMoment(feed.lastUpdated)}>
            {formatAge(feed.lastUpdated, now)}
          </Figure>
        </FigureRow>
        <Bars
          bars={[
            { label: "Available", count: feed.availableDiamonds },
            { label: "On hold", count: feed.onHoldDiamonds },
            { label: "Sold", count: feed.soldDiamonds },
            { label: "Unavailable", count: feed.unavailableDiamonds },
          ]}
          note={(count, total) => `${formatCount(count)} · ${formatPercent(count, total)}`}
        />
      </div>
    </Panel>
  );
}

/** The bars are measured by the largest: beside all stones of the catalogue, most vendors would have none to see. */
function LargestVendors({ stones }: { stones: number | undefined }) {
  const largest = useQuery(suppliersQuery(LARGEST));
  return (
    <Answer of={largest} rows={10}>
      {({ data }) =>
        data.length === 0 ? (
          <NoVendor />
        ) : (
          <Bars
            bars={data.map((vendor) => ({ label: nameOf(vendor), count: vendor.totalDiamonds }))}
            full={data[0]?.totalDiamonds}
            note={(count) =>
              `${formatCount(count)} stones${stones === undefined ? "" : ` · ${formatPercent(count, stones)}`}`
            }
          />
        )
      }
    </Answer>
  );
}

const NoVendor = () => <Empty title="No vendor has a stone on sale.">A full run fills the catalogue.</Empty>;

const nameOf = ({ supplierName }: SupplierCounts): string => supplierName ?? "without a name";

const COLUMNS: Column<SupplierCounts>[] = [
  { title: "Vendor", cell: nameOf },
  { title: "Feed", cell: (vendor) => vendor.feeds.join(", ") },
  { title: "Stones", cell: (vendor) => formatCount(vendor.totalDiamonds), numeric: true },
  { title: "Available", cell: (vendor) => formatCount(vendor.availableDiamonds), numeric: true },
  { title: "On hold", cell: (vendor) => formatCount(vendor.onHoldDiamonds), numeric: true },
  { title: "Sold", cell: (vendor) => formatCount(vendor.soldDiamonds), numeric: true },
  { title: "Unavailable", cell: (vendor) => formatCount(vendor.unavailableDiamonds), numeric: true },
  { title: "Cost from", cell: (vendor) => formatCents(vendor.minFeedPriceCents), numeric: true },
  { title: "Cost on average", cell: (vendor) => formatCents(vendor.avgFeedPriceCents), numeric: true },
  { title: "Cost to", cell: (vendor) => formatCents(vendor.maxFeedPriceCents), numeric: true },
  { title: "Price on average", cell: (vendor) => formatCents(vendor.avgPriceModelPriceCents), numeric: true },
  { title: "Last changed", cell: (vendor) => formatMoment(vendor.lastUpdated) },
];
