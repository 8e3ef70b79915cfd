import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import type { Diamond, Facets } from "@/api/generated";
import { diamondsQuery, facetsQuery } from "@/api/queries";
import { AvailabilityBadge, DiamondCard, titleOf } from "@/features/diamond-card";
import {
  type DiamondSearch,
  FACETS,
  filtersOf,
  questionOf,
  readDiamondSearch,
  SORTS,
  type Sort,
  toggled,
} from "@/features/diamond-search";
import { ExportStones } from "@/features/export-stones";
import { FacetList } from "@/features/facet-list";
import { counted, formatCents, NOTHING } from "@/format";
import { Answer } from "@/ui/answer";
import { Button } from "@/ui/button";
import { Histogram } from "@/ui/histogram";
import { Empty } from "@/ui/notices";
import { Pages } from "@/ui/pages";
import { Page } from "@/ui/panel";
import { type Column, Table } from "@/ui/table";

const PER_PAGE = 24;

export const Route = createFileRoute("/_signed-in/diamonds/")({
  validateSearch: readDiamondSearch,
  component: Diamonds,
});

function Diamonds() {
  const search = Route.useSearch();
  const navigate = Route.useNavigate();
  const facets = useQuery(facetsQuery(filtersOf(search)));
  const filter = (change: Partial<DiamondSearch>) =>
    void navigate({ search: { ...search, page: undefined, ...change }, replace: true, resetScroll: false });
  return (
    <Page title="Diamonds">
      <div className="grid items-start gap-4 lg:grid-cols-[16rem_1fr]">
        <details open className="rounded-lg border border-line bg-surface p-4">
          <summary className="font-semibold">Filters</summary>
          <div className="mt-3 flex flex-col gap-4">
            <Answer of={facets} rows={10}>
              {(data) => <Filters facets={data} search={search} onChange={filter} />}
            </Answer>
            <Button onClick={() => void navigate({ search: {} })}>Clear all filters</Button>
          </div>
        </details>
        <Stones search={search} onChange={filter} />
      </div>
    </Page>
  );
}

interface Props {
  search: DiamondSearch;
  onChange: (change: Partial<DiamondSearch>) => void;
}

function Filters({ facets, search, onChange }: Props & { facets: Facets }) {
  return (
    <>
      <Histogram
        label="Price"
        bars={facets.price}
        min={search.price_min}
        max={search.price_max}
        format={formatCents}
        onChange={(price_min, price_max) => onChange({ price_min, price_max })}
      />
      <Histogram
        label="Carats"
        bars={facets.carats}
        min={search.carat_min}
        max={search.carat_max}
        format={(carats) => `${carats.toFixed(2)} ct`}
        onChange={(carat_min, carat_max) => onChange({ carat_min, carat_max })}
      />
      {FACETS.map(({ parameter, counts, label }) => (
        <FacetList
          key={parameter}
          label={label}
          counts={facets[counts]}
          chosen={search[parameter] ?? []}
          onToggle={(value) => onChange({ [parameter]: toggled(search[parameter], value) })}
        />
      ))}
    </>
  );
}

function Stones({ search, onChange }: Props) {
  const stones = useQuery(diamondsQuery(questionOf(search, PER_PAGE)));
  const isTable = search.view === "table";
  return (
    <section aria-label="Stones" className="flex min-w-0 flex-col gap-3">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <label className="flex items-center gap-2">
          <span className="text-muted">Sort</span>
          <select
            value={search.sort ?? "newest"}
            onChange={(event) => onChange({ sort: event.target.value as Sort })}
            className="min-h-8 rounded-md border border-line bg-surface px-2 py-1"
          >
            {Object.entries(SORTS).map(([sort, { label }]) => (
              <option key={sort} value={sort}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <div className="flex flex-wrap items-center gap-2">
          <ExportStones filters={filtersOf(search)} />
          <Button onClick={() => onChange({ view: isTable ? undefined : "table", page: search.page })}>
            {isTable ? "Show as pictures" : "Show as a table"}
          </Button>
        </div>
      </div>
      <Answer of={stones} rows={12}>
        {({ data, pagination }) => (
          <>
            {data.length === 0 && <Empty title="No stone meets all of these.">Take one filter away.</Empty>}
            {isTable ? (
              <div className="rounded-lg border border-line bg-surface px-4">
                <Table caption="stones" columns={COLUMNS} rows={data} keyOf={(diamond) => diamond.id} />
              </div>
            ) : (
              <ul className="grid grid-cols-2 gap-3 md:grid-cols-[repeat(auto-fill,minmax(13rem,1fr))]">
                {data.map((diamond) => (
                  <li key={diamond.id} className="grid">
                    <DiamondCard diamond={diamond} />
                  </li>
                ))}
              </ul>
            )}
            <Pages
              page={search.page ?? 1}
              total={pagination.total}
              perPage={PER_PAGE}
              what={(total) => counted(total, "stone")}
              onChange={(page) => onChange({ page })}
              words={["Previous", "Next"]}
            />
          </>
        )}
      </Answer>
    </section>
  );
}

const COLUMNS: Column<Diamond>[] = [
  {
    title: "Stone",
    cell: (diamond) => (
      <Link to="/diamonds/$id" params={{ id: diamond.id }} className="text-accent underline">
        {titleOf(diamond)}
      </Link>
    ),
  },
  { title: "Type", cell: (diamond) => (diamond.labGrown ? "lab-grown" : "natural") },
  { title: "Cut", cell: (diamond) => diamond.cut ?? NOTHING },
  {
    title: "Certificate",
    cell: (diamond) => `${diamond.certificateLab ?? NOTHING} ${diamond.certificateNumber ?? ""}`,
  },
  { title: "Availability", cell: (diamond) => <AvailabilityBadge availability={diamond.availability} /> },
  {
    title: "Cost",
    cell: (diamond) => formatCents(diamond.feedPriceCents),
    numeric: true,
  },
  { title: "Price", cell: (diamond) => formatCents(diamond.priceModelPriceCents), numeric: true },
];
