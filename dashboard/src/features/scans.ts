import type { DensityRange, Heatmap, Partition, ScannedPartition, StoredScan } from "@/api/generated";

/** One look at the inventory, of both types or of one. */
export interface Scan {
  kind: "preview" | "scan" | "run";
  /** Of what is stored, one for each type; any of them finds it again. */
  ids: string[];
  runId: string | null;
  scannedAt: string;
  total: number;
  apiCalls: number;
  ranges: DensityRange[];
  /** Known only to who asked for it: they are not stored. */
  durationMs: number | null;
  partitions: ScannedPartition[] | null;
}

/** Each type is stored by itself: those of one moment are one scan. */
export function gatherScans(rows: StoredScan[]): Scan[] {
  const scans = new Map<string, Scan>();
  for (const row of rows) {
    const key = `${row.feed} ${row.scannedAt} ${row.runId}`;
    const known = scans.get(key);
    scans.set(key, {
      kind: row.runId === null ? "scan" : "run",
      ids: [...(known?.ids ?? []), row.id],
      runId: row.runId,
      scannedAt: row.scannedAt,
      total: (known?.total ?? 0) + row.total,
      apiCalls: (known?.apiCalls ?? 0) + row.apiCalls,
      ranges: [...(known?.ranges ?? []), ...row.densityMap],
      durationMs: null,
      partitions: null,
    });
  }
  return [...scans.values()];
}

export const scanOf = (
  { totalRecords, stats, densityMap, partitions }: Heatmap,
  kind: Scan["kind"],
  scannedAt: string,
): Scan => ({
  kind,
  ids: [],
  runId: null,
  scannedAt,
  total: totalRecords,
  apiCalls: stats.apiCalls,
  ranges: densityMap,
  durationMs: stats.scanDurationMs,
  partitions,
});

/** A run's partitions by price; those that catch up have no borders of their own. */
export const cutsOf = (partitions: Partition[]): ScannedPartition[] =>
  partitions
    .filter(({ kind }) => kind !== "catch_up")
    .map(({ partitionId, labGrown, priceFrom, priceTo, expectedRecords }) => ({
      partitionId,
      labGrown,
      minPrice: priceFrom,
      maxPrice: priceTo,
      totalRecords: expectedRecords,
    }));
