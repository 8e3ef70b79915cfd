import type { Attempt, Partition, RunSummary } from "@/api/generated";

export interface Bar {
  key: string;
  state: string;
  /** Of the time that is shown, from 0 to 1. */
  from: number;
  to: number;
  milliseconds: number;
}

export interface Lane {
  partition: Partition;
  bars: Bar[];
}

/** When the last partition was over, or now while one is not. */
export const readingEnd = (run: RunSummary, now: number): number =>
  Date.parse(run.ingestCompletedAt ?? run.completedAt ?? "") || now;

/** Each partition's attempts on the run's time, which ends with its reading, or now. */
export function layOut(run: RunSummary, partitions: Partition[], attempts: Attempt[], now: number): Lane[] {
  const start = Date.parse(run.startedAt);
  const end = Math.max(start + 1, readingEnd(run, now));
  const share = (moment: number) => Math.min(1, Math.max(0, (moment - start) / (end - start)));
  const lanes = new Map(
    partitions.map((partition) => [partition.partitionId, { partition, bars: [] as Bar[] }]),
  );
  for (const attempt of attempts) {
    const began = Date.parse(attempt.startedAt);
    const ended = attempt.completedAt === null ? end : Date.parse(attempt.completedAt);
    lanes.get(attempt.partitionId)?.bars.push({
      key: attempt.id,
      state: attempt.status,
      from: share(began),
      to: share(ended),
      milliseconds: Math.max(0, ended - began),
    });
  }
  return [...lanes.values()];
}
