import { readOneOf, readPage } from "@/address";
import type { GetFacetsParams, ListDiamondsParams } from "@/api/generated";

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

type ByValues = { [Name in (typeof FACETS)[number]["parameter"]]?: string[] };
export const RANGES = ["price_min", "price_max", "carat_min", "carat_max"] as const;
type ByRange = { [Name in (typeof RANGES)[number]]?: number };

export const SORTS = {
  newest: { sort_by: "created_at", sort_order: "desc", label: "Newest" },
  cheapest: { sort_by: "price", sort_order: "asc", label: "Cheapest" },
  dearest: { sort_by: "price", sort_order: "desc", label: "Dearest" },
  heaviest: { sort_by: "carats", sort_order: "desc", label: "Heaviest" },
} as const;
export type Sort = keyof typeof SORTS;

export interface DiamondSearch extends ByValues, ByRange {
  sort?: Sort;
  page?: number;
  view?: "table";
}

/** The address says what is searched: what it cannot mean is left out, and the API judges the rest. */
export function readDiamondSearch(search: Record<string, unknown>): DiamondSearch {
  const found: DiamondSearch = {
    sort: readOneOf(Object.keys(SORTS) as Sort[], search.sort),
    page: readPage(search.page),
    view: readOneOf(["table"], search.view),
  };
  for (const { parameter } of FACETS) {
    const values = [search[parameter]]
      .flat()
      .filter((each) => typeof each === "string" || typeof each === "boolean");
    if (values.length > 0) found[parameter] = values.map(String);
  }
  for (const name of RANGES) {
    const value = search[name];
    if (typeof value === "number" && value >= 0) found[name] = value;
  }
  return found;
}

/** Both types together are no filter. */
export function labGrownOf(values: string[] | undefined): boolean | undefined {
  return values?.length === 1 ? values[0] === "true" : undefined;
}

export function filtersOf({ sort: _sort, page: _page, view: _view, lab_grown, ...rest }: DiamondSearch) {
  return { ...rest, lab_grown: labGrownOf(lab_grown) } as GetFacetsParams;
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
