import { queryOptions } from "@tanstack/react-query";
import { type ListRunsParams, listRuns, readMe, readRun, readRunQuality, readSummary } from "./generated";

/** How often what has no live stream is asked for again. */
export const POLL_MILLISECONDS = 10_000;

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async ({ signal }) => (await readMe({ signal })).data,
  staleTime: 60_000,
});

export const summaryQuery = queryOptions({
  queryKey: ["summary"],
  queryFn: async ({ signal }) => (await readSummary({ signal })).data,
});

export const runsQuery = (filters: ListRunsParams) =>
  queryOptions({
    queryKey: ["runs", filters],
    queryFn: ({ signal }) => listRuns(filters, { signal }),
    placeholderData: (previous) => previous,
  });

export const runQuery = (runId: string) =>
  queryOptions({
    queryKey: ["run", runId],
    queryFn: async ({ signal }) => (await readRun(runId, { signal })).data,
  });

export const qualityQuery = (runId: string) =>
  queryOptions({
    queryKey: ["quality", runId],
    queryFn: async ({ signal }) => (await readRunQuality(runId, { signal })).data,
  });
