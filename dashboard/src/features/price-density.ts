import type { DensityRange, ScannedPartition } from "@/api/generated";

/** The geometry of the density plot: what lies where on a logarithmic price axis, as shares from 0 to 1. */

export interface PriceScale {
  low: number;
  high: number;
}

export interface Tick {
  price: number;
  at: number;
  /** Still told where there is little room. */
  isMain: boolean;
}

interface Span {
  from: number;
  to: number;
}

export interface DensityBar extends Span {
  range: DensityRange;
  /** Stones in each doubling of the price, so that a bar's area is its number of stones. */
  perDoubling: number;
}

export interface PartitionBand extends Span {
  partition: ScannedPartition;
}

const NO_STONES: PriceScale = { low: 100, high: 100_000 };

/** As wide as there are stones. An open end has no place on the axis: it is given one doubling of the price. */
export function scaleOf(ranges: DensityRange[]): PriceScale {
  const filled = ranges.filter(({ count }) => count > 0);
  const edges = filled
    .flatMap(({ minPrice, maxPrice }) => [minPrice, maxPrice ?? 0])
    .filter((edge) => edge > 0);
  if (edges.length === 0) return NO_STONES;
  const isOpenBelow = filled.some(({ minPrice }) => minPrice === 0);
  const isOpenAbove = filled.some(({ maxPrice }) => maxPrice === null);
  return {
    low: Math.min(...edges) / (isOpenBelow ? 2 : 1),
    high: Math.max(...edges) * (isOpenAbove ? 2 : 1),
  };
}

export function shareOf({ low, high }: PriceScale, price: number): number {
  if (price <= low) return 0;
  return Math.min(1, Math.log(price / low) / Math.log(high / low));
}

/** 1, 2 and 5 of every power of ten; the powers are the main ones where there are enough of them. */
export function ticksOf(scale: PriceScale): Tick[] {
  const first = Math.floor(Math.log10(scale.low));
  const last = Math.floor(Math.log10(scale.high));
  const powers = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
  const isShown = (price: number) => price >= scale.low && price <= scale.high;
  const areEnough = powers.filter(isShown).length > 1;
  return powers
    .flatMap((power) => [1, 2, 5].map((step) => ({ price: power * step, isMain: step === 1 || !areEnough })))
    .filter(({ price }) => isShown(price))
    .map((tick) => ({ ...tick, at: shareOf(scale, tick.price) }));
}

export function barsOf(scale: PriceScale, ranges: DensityRange[]): DensityBar[] {
  const doublings = Math.log2(scale.high / scale.low);
  return ranges
    .filter(({ count }) => count > 0)
    .map((range) => {
      const span = spanOf(scale, range);
      return { ...span, range, perDoubling: range.count / ((span.to - span.from) * doublings) };
    });
}

/** What the axis shows of each partition; one that lies beside it has only its row in the table. */
export const bandsOf = (scale: PriceScale, partitions: ScannedPartition[]): PartitionBand[] =>
  partitions
    .map((partition) => ({ ...spanOf(scale, partition), partition }))
    .filter(({ from, to }) => to > from);

const spanOf = (
  scale: PriceScale,
  { minPrice, maxPrice }: { minPrice: number; maxPrice: number | null },
): Span => ({
  from: shareOf(scale, minPrice),
  to: maxPrice === null ? 1 : shareOf(scale, maxPrice),
});
