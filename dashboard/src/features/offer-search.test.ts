import { expect, test } from "vitest";
import type { LiveOffer } from "@/api/generated";
import {
  countBodyOf,
  draftOf,
  formatDiscount,
  readOfferSearch,
  searchBodyOf,
  titleOfOffer,
  withOffer,
} from "./offer-search";

const offer = (offerId: string, certificate: Partial<LiveOffer["diamond"]["certificate"]> = null) =>
  ({ offerId, priceCents: 1, diamond: { certificate } }) as LiveOffer;

test("an address is read for what it may hold, and nothing else", () => {
  const found = readOfferSearch({
    labGrown: "yes",
    shapes: ["ROUND", "EGG"],
    priceMin: 100,
    priceMax: -1,
    caratMin: "x",
    hasImage: true,
  });
  expect(JSON.parse(JSON.stringify(found))).toEqual({ shapes: ["ROUND"], priceMin: 100, hasImage: true });
});

test("a draft becomes the address that it came from, without its page", () => {
  const search = readOfferSearch({ labGrown: true, shapes: "PEAR", caratMax: 1.5, priceMin: 0, page: 3 });
  const again = readOfferSearch({ ...draftOf(search) });
  expect(again).toEqual({ ...search, page: undefined });
});

test("pages are asked for by their offset, and counted without it", () => {
  expect(searchBodyOf({ priceMax: 500, page: 3 }, 25)).toEqual({ priceMax: 500, offset: 50, limit: 25 });
  expect(countBodyOf({ priceMax: 500, page: 3 })).toEqual({ priceMax: 500 });
});

test("an offer that was looked at again stands where it stood", () => {
  const list = { askedAt: "", data: [offer("a"), offer("b")], pagination: { total: 2 } };
  const sold = { ...offer("b"), priceCents: 2 };
  expect(withOffer(list, sold).data).toEqual([offer("a"), sold]);
});

test("an offer is called by its certificate, and without one by its id", () => {
  expect(titleOfOffer(offer("a", { carats: 1.5, shape: "ROUND", color: null, clarity: "VS1" }))).toBe(
    "1.50 ct ROUND VS1",
  );
  expect(titleOfOffer(offer("a"))).toBe("a");
});

test("a discount is hundredths of a percent", () => {
  expect(formatDiscount(-3736)).toBe("-37.36 %");
});
