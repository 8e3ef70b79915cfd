import { readAmount, readPage, readSomeOf, readTrue } from "@/address";
import type { LiveOffer, OfferCountBody, OfferSearchBody } from "@/api/generated";
import type { OfferList } from "@/api/queries";

/** Of the supplier's filter, which knows some shapes by several names; the rare ones are left out. */
export const SHAPES = [
  "ROUND",
  "OVAL",
  "EMERALD",
  "CUSHION",
  "CUSHION B",
  "CUSHION MODIFIED",
  "CUSHION BRILLIANT",
  "ASSCHER",
  "RADIANT",
  "MARQUISE",
  "PEAR",
  "PRINCESS",
  "ROSE",
  "OLD MINER",
  "TRILLIANT",
  "HEXAGONAL",
  "HEART",
] as const;

export const RANGES = ["priceMin", "priceMax", "caratMin", "caratMax"] as const;
type Range = (typeof RANGES)[number];

export interface OfferSearch extends Partial<Record<Range, number>> {
  /** Left out, natural stones are meant: the supplier is asked for one type at a time. */
  labGrown?: true;
  shapes?: (typeof SHAPES)[number][];
  hasImage?: true;
  hasVideo?: true;
  page?: number;
}

/** What the form holds: numbers as they are typed. */
export interface OfferDraft extends Record<Range, string> {
  labGrown: boolean;
  shapes: string[];
  hasImage: boolean;
  hasVideo: boolean;
}

/** Reads an address, and a draft that is to become one. */
export function readOfferSearch(search: Record<string, unknown>): OfferSearch {
  const found: OfferSearch = {
    labGrown: readTrue(search.labGrown),
    shapes: readSomeOf(SHAPES, search.shapes),
    hasImage: readTrue(search.hasImage),
    hasVideo: readTrue(search.hasVideo),
    page: readPage(search.page),
  };
  for (const name of RANGES) found[name] = readAmount(search[name]);
  return found;
}

const textOf = (amount: number | undefined): string => (amount === undefined ? "" : String(amount));

export const draftOf = (search: OfferSearch): OfferDraft => ({
  labGrown: search.labGrown ?? false,
  shapes: search.shapes ?? [],
  priceMin: textOf(search.priceMin),
  priceMax: textOf(search.priceMax),
  caratMin: textOf(search.caratMin),
  caratMax: textOf(search.caratMax),
  hasImage: search.hasImage ?? false,
  hasVideo: search.hasVideo ?? false,
});

export function countBodyOf({ page: _page, ...filters }: OfferSearch): OfferCountBody {
  return filters;
}

export const searchBodyOf = (search: OfferSearch, limit: number): OfferSearchBody => ({
  ...countBodyOf(search),
  offset: ((search.page ?? 1) - 1) * limit,
  limit,
});

/** A list that was found before, with what the supplier shows of one offer now. */
export const withOffer = (list: OfferList, offer: LiveOffer): OfferList => ({
  ...list,
  data: list.data.map((each) => (each.offerId === offer.offerId ? offer : each)),
});

/** "1.05 ct ROUND E VS1", or the offer's id where the certificate says none of it. */
export function titleOfOffer({ offerId, diamond: { certificate } }: LiveOffer): string {
  if (certificate === null) return offerId;
  const { carats, shape, color, clarity } = certificate;
  const known = [carats === null ? null : `${carats.toFixed(2)} ct`, shape, color, clarity];
  return known.filter((each) => each !== null).join(" ") || offerId;
}

/** The supplier's discounts are hundredths of a percent. */
export const formatDiscount = (discount: number | null): string | null =>
  discount === null ? null : `${(discount / 100).toFixed(2)} %`;
