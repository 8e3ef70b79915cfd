import { readAmount, readOneOf, readPage, readText } from "@/address";
import {
  GetFacetsAvailabilityItem,
  GetFacetsClarityItem,
  GetFacetsColorItem,
  GetFacetsCutItem,
  type GetFacetsParams,
  type ListDiamondsParams,
} from "@/api/generated";
import { formatCents } from "@/format";

/** Of some the API takes these values and no others. */
const KNOWN = {
  lab_grown: ["true", "false"],
  color: Object.values(GetFacetsColorItem),
  clarity: Object.values(GetFacetsClarityItem),
  cut: Object.values(GetFacetsCutItem),
  availability: Object.values(GetFacetsAvailabilityItem),
} as { [Name in Facet]?: string[] };

/** What may be chosen by its values: the API's parameter, and the name of its counts among the facets. */
export const FACETS = [
  { parameter: "shape", counts: "shape", label: "Shape" },
  { parameter: "lab_grown", counts: "labGrown", label: "Type" },
  { parameter: "color", counts: "color", label: "Colour" },
  { parameter: "clarity", counts: "clarity", label: "Clarity" },
  { parameter: "cut", counts: "cut", label: "Cut" },
  { parameter: "certificate_lab", counts: "certificateLab", label: "Certificate" },
  { parameter: "availability", counts: "availability", label: "Availability" },
] as const;
type Facet = (typeof FACETS)[number]["parameter"];

/** What may be chosen by its bounds; `scale` is how many of the API's units are one of those that people write. */
export const RANGES = [
  { label: "Price", unit: "$", counts: "price", min: "price_min", max: "price_max", scale: 100, most: 1e11 },
  {
    label: "Carats",
    unit: "ct",
    counts: "carats",
    min: "carat_min",
    max: "carat_max",
    scale: 1,
    most: 9_999,
  },
] as const;
export type Range = (typeof RANGES)[number];
type Bound = Range["min" | "max"];

export const SORTS = {
  newest: { sort_by: "created_at", sort_order: "desc", label: "Newest" },
  cheapest: { sort_by: "price", sort_order: "asc", label: "Cheapest" },
  dearest: { sort_by: "price", sort_order: "desc", label: "Dearest" },
  heaviest: { sort_by: "carats", sort_order: "desc", label: "Heaviest" },
} as const;
export type Sort = keyof typeof SORTS;

type Filters = { [Name in Facet]?: string[] } & { [Name in Bound]?: number };

export interface DiamondSearch extends Filters {
  sort?: Sort;
  page?: number;
  view?: "table";
  /** The stone that is open beside the list. */
  stone?: string;
}

/**
 * The address says what is searched. What it cannot mean is undefined, and not merely missing: the router would put
 * what the address holds in its place.
 */
export function readDiamondSearch(search: Record<string, unknown>): DiamondSearch {
  const found: DiamondSearch = {
    sort: readOneOf(Object.keys(SORTS) as Sort[], search.sort),
    page: readPage(search.page),
    view: readOneOf(["table"], search.view),
    stone: readText(search.stone),
  };
  for (const { parameter } of FACETS) found[parameter] = readValues(parameter, search[parameter]);
  for (const range of RANGES) {
    const [min, max] = [readBound(range, search[range.min]), readBound(range, search[range.max])];
    const isPossible = min === undefined || max === undefined || min <= max;
    found[range.min] = isPossible ? min : undefined;
    found[range.max] = isPossible ? max : undefined;
  }
  return found;
}

function readValues(parameter: Facet, given: unknown): string[] | undefined {
  const values = [given].flat().flatMap((each) => {
    const text = typeof each === "boolean" ? String(each) : readText(each);
    return text === undefined || KNOWN[parameter]?.includes(text) === false ? [] : text;
  });
  return values.length > 0 ? values : undefined;
}

/** In hundredths of what people write: whole cents, and two digits of a carat. */
function readBound({ scale, most }: Range, given: unknown): number | undefined {
  const amount = readAmount(given);
  return amount === undefined || amount > most
    ? undefined
    : (Math.round((100 * amount) / scale) * scale) / 100;
}

/** A range as people write it. */
export const writtenBounds = (search: DiamondSearch, { min, max, scale }: Range) => ({
  min: dividedBy(scale, search[min]),
  max: dividedBy(scale, search[max]),
});

const dividedBy = (scale: number, bound: number | undefined): number | undefined =>
  bound === undefined ? undefined : bound / scale;

/** What people wrote, as the address holds it. */
export const boundsOf = (range: Range, min: number | undefined, max: number | undefined) => ({
  [range.min]: min === undefined ? undefined : readBound(range, min * range.scale),
  [range.max]: max === undefined ? undefined : readBound(range, max * range.scale),
});

export const formatBound = ({ label }: Range, bound: number): string =>
  label === "Price" ? formatCents(bound) : `${bound.toFixed(2)} ct`;

export function formatBounds({ range, min, max }: Bounds): string {
  const [from, to] = [min, max].map((bound) => bound !== undefined && formatBound(range, bound));
  if (!from) return `up to ${to}`;
  return to ? `${from} to ${to}` : `from ${from}`;
}

/** Both types together are no filter. */
export function labGrownOf(values: string[] | undefined): boolean | undefined {
  return values?.length === 1 ? values[0] === "true" : undefined;
}

export function filtersOf(search: DiamondSearch): GetFacetsParams {
  const names = [
    ...FACETS.map(({ parameter }) => parameter),
    ...RANGES.flatMap(({ min, max }) => [min, max] as const),
  ];
  const filters = Object.fromEntries(names.map((name) => [name, search[name]]));
  return { ...filters, lab_grown: labGrownOf(search.lab_grown) };
}

export function questionOf(search: DiamondSearch, limit: number): ListDiamondsParams {
  const { sort_by, sort_order } = SORTS[search.sort ?? "newest"];
  return { ...filtersOf(search), sort_by, sort_order, page: search.page, limit } as ListDiamondsParams;
}

/** With one value more, or without it. */
export function toggled(values: string[] | undefined, value: string): string[] | undefined {
  const others = (values ?? []).filter((each) => each !== value);
  const next = others.length === (values ?? []).length ? [...others, value] : others;
  return next.length > 0 ? next : undefined;
}

interface Bounds {
  range: Range;
  min: number | undefined;
  max: number | undefined;
}

/** One filter that is set, and what takes it away. */
interface ActiveFilter {
  label: string;
  value: string | Bounds;
  change: Partial<DiamondSearch>;
}

export function activeFilters(search: DiamondSearch): ActiveFilter[] {
  const values = FACETS.flatMap(({ parameter, label }) =>
    (search[parameter] ?? []).map((value) => ({
      label,
      value,
      change: { [parameter]: toggled(search[parameter], value) },
    })),
  );
  const ranges = RANGES.map((range) => ({
    label: range.label,
    value: { range, min: search[range.min], max: search[range.max] },
    change: { [range.min]: undefined, [range.max]: undefined },
  }));
  return [...values, ...ranges.filter(({ value }) => value.min !== undefined || value.max !== undefined)];
}
