import { useQuery } from "@tanstack/react-query";
import { createFileRoute, type NavigateOptions, useLocation } from "@tanstack/react-router";
import type { Diamond } from "@/api/generated";
import { diamondsQuery, facetsQuery } from "@/api/queries";
import { AvailabilityBadge, DiamondCard, StoneLink, titleOf } from "@/features/diamond-card";
import {
  type DiamondSearch,
  filtersOf,
  questionOf,
  readDiamondSearch,
  SORTS,
  type Sort,
} from "@/features/diamond-search";
import { ExportStones } from "@/features/export-stones";
import { StoneDrawer } from "@/features/stone-drawer";
import { Chips, FilterBox, type FilterProps, Filters } from "@/features/stone-filters";
import { formatCents, NOTHING } from "@/format";
import { Answer } from "@/ui/answer";
import { Button } from "@/ui/button";
import { useIsWide } from "@/ui/is-wide";
import { Empty } from "@/ui/notices";
import { Pages } from "@/ui/pages";
import { Page } from "@/ui/panel";
import { type Column, Table } from "@/ui/table";

const PER_PAGE = 24;

/** The API goes as deep as 10,000 stones by the number of a page. */
const MOST_PAGES = Math.floor(10_000 / PER_PAGE);

export const Route = createFileRoute("/_signed-in/diamonds/")({
  validateSearch: readDiamondSearch,
  component: Diamonds,
});

function Diamonds() {
  const search = Route.useSearch();
  const navigate = Route.useNavigate();
  const { slid, hasOpenedStone } = useLocation({ select: ({ state }) => state });
  const isWide = useIsWide();
  const facets = useQuery(facetsQuery(filtersOf(search)));
  const go = (next: DiamondSearch, options: Pick<NavigateOptions, "replace" | "state"> = {}) =>
    void navigate({ search: next, resetScroll: false, ...options });
  const filter = (change: Partial<DiamondSearch>, slider?: string) => {
    const goesOn = slider !== undefined && slider === slid;
    go({ ...search, page: undefined, ...change }, { replace: goesOn, state: { slid: slider } });
  };
  const open = (stone: string) =>
    go(
      { ...search, stone },
      search.stone === undefined ? { state: { hasOpenedStone: true } } : { replace: true, state: true },
    );
  const close = () =>
    hasOpenedStone ? window.history.back() : go({ ...search, stone: undefined }, { replace: true });
  const { stone } = search;
  return (
    <Page title="Diamonds">
      <div
        className={`grid items-start gap-4 lg:grid-cols-[16rem_1fr] ${stone === undefined ? "" : "xl:grid-cols-[16rem_1fr_24rem]"}`}
      >
        <FilterBox search={search} isWide={isWide} onClear={() => go({})}>
          <Answer of={facets} rows={10}>
            {(data) => <Filters facets={data} search={search} onChange={filter} />}
          </Answer>
        </FilterBox>
        <Stones search={search} onChange={filter} onOpen={open} />
        {stone !== undefined && <StoneDrawer key={stone} id={stone} onClose={close} />}
      </div>
    </Page>
  );
}

function Stones({ search, onChange, onOpen }: FilterProps & { onOpen: (id: string) => void }) {
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
      <Chips search={search} onChange={onChange} />
      <Pages
        of={stones}
        noun="stone"
        page={search.page ?? 1}
        perPage={PER_PAGE}
        mostPages={MOST_PAGES}
        onPage={(page) => onChange({ page })}
        empty={<Empty title="No stone meets all of these.">Take one filter away.</Empty>}
        words={["Previous", "Next"]}
        bars={12}
      >
        {(data) =>
          isTable ? (
            <div className="rounded-lg border border-line bg-surface px-4">
              <Table
                caption="stones"
                columns={columns(search.stone, onOpen)}
                rows={data}
                keyOf={(diamond) => diamond.id}
              />
            </div>
          ) : (
            <ul className="grid grid-cols-2 gap-3 md:grid-cols-[repeat(auto-fill,minmax(13rem,1fr))]">
              {data.map((diamond) => (
                <li key={diamond.id} className="grid">
                  <DiamondCard diamond={diamond} isOpen={diamond.id === search.stone} onOpen={onOpen} />
                </li>
              ))}
            </ul>
          )
        }
      </Pages>
    </section>
  );
}

const columns = (openId: string | undefined, onOpen: (id: string) => void): Column<Diamond>[] => [
  {
    title: "Stone",
    cell: (diamond) => (
      <StoneLink
        id={diamond.id}
        isOpen={diamond.id === openId}
        onOpen={onOpen}
        className="text-accent underline aria-[current=true]:font-semibold"
      >
        {titleOf(diamond)}
      </StoneLink>
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
