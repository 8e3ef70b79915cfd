import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { createContext, useContext, useEffect, useState } from "react";
import { ApiError } from "./call";
import { readEvents, type ServerEvent } from "./event-stream";
import type { Partition, RunDetail, RunSummary, RunSummaryList } from "./generated";
import { POLL_MILLISECONDS } from "./queries";
import { Refresher } from "./refresher";

const RECONNECT_MILLISECONDS = 2_000;

export const LiveContext = createContext(false);

/** False while the stream is open, otherwise how often to ask instead: for a query's refetchInterval. */
export const usePollUnlessLive = (): number | false => (useContext(LiveContext) ? false : POLL_MILLISECONDS);

/** Keeps the stream open while mounted, and the cached answers as new as it says; true while it is open. */
export function useLiveUpdates(enabled: boolean): boolean {
  const client = useQueryClient();
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    if (!enabled) return;
    const ending = new AbortController();
    const refresher = new Refresher(client);
    void follow(client, refresher, ending.signal, setOpen);
    return () => {
      ending.abort();
      refresher.close();
    };
  }, [client, enabled]);
  return isOpen;
}

async function follow(
  client: QueryClient,
  refresher: Refresher,
  signal: AbortSignal,
  setOpen: (open: boolean) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const event of readEvents(signal)) {
        if (event.name === "open") setOpen(true);
        else apply(client, refresher, event);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
        setOpen(false); // the next question that is asked anyway says so to the person
        return;
      }
    }
    setOpen(false);
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MILLISECONDS));
  }
}

/** What the events hold: some fields of what the API's answers hold, by the same names. */
type RunState = Partial<RunSummary> & Pick<RunSummary, "runId" | "state">;
type PartitionState = Partial<Partition> & Pick<Partition, "runId" | "partitionId" | "state">;
interface ConsolidationState {
  runId: string;
  processed: number;
  errors: number;
  total: number;
}

/** An event holds the newest state of a thing: it is laid over what is known; what it cannot tell is asked for. */
export function apply(client: QueryClient, refresher: Refresher, { name, data }: ServerEvent): void {
  if (name === "attention") {
    refresher.refresh(["summary"]);
    refresher.refresh(["alerts"]);
  }
  if (name === "run") applyRun(client, refresher, data as RunState);
  if (name === "partition") applyPartition(client, refresher, data as PartitionState);
  if (name === "consolidation") applyConsolidation(client, data as ConsolidationState);
}

function applyRun(client: QueryClient, refresher: Refresher, state: RunState): void {
  const shown = client.getQueryData<RunDetail>(["run", state.runId]);
  if (shown !== undefined) {
    client.setQueryData<RunDetail>(["run", state.runId], { ...shown, run: { ...shown.run, ...state } });
    if (shown.run.state !== state.state) refresher.refresh(["run", state.runId]);
  }
  let isListed = false;
  let hasMoved = false;
  client.setQueriesData<RunSummaryList>({ queryKey: ["runs"] }, (list) => {
    if (list === undefined) return list;
    const rows = list.data.map((run) => {
      if (run.runId !== state.runId) return run;
      isListed = true;
      hasMoved ||= run.state !== state.state;
      return { ...run, ...state };
    });
    return { ...list, data: rows };
  });
  if (hasMoved || !isListed) {
    refresher.refresh(["runs"]);
    refresher.refresh(["summary"]);
  }
}

function applyPartition(client: QueryClient, refresher: Refresher, state: PartitionState): void {
  const shown = client.getQueryData<RunDetail>(["run", state.runId]);
  if (shown === undefined) return;
  const before = shown.partitions.find((each) => each.partitionId === state.partitionId);
  client.setQueryData<RunDetail>(["run", state.runId], {
    ...shown,
    partitions: shown.partitions.map((each) => (each === before ? { ...each, ...state } : each)),
  });
  if (before?.state !== state.state) refresher.refresh(["run", state.runId]);
}

function applyConsolidation(
  client: QueryClient,
  { runId, processed, errors, total }: ConsolidationState,
): void {
  const shown = client.getQueryData<RunDetail>(["run", runId]);
  if (shown === undefined) return;
  const figures = {
    consolidationProcessed: processed,
    consolidationErrors: errors,
    consolidationTotal: total,
  };
  client.setQueryData<RunDetail>(["run", runId], { ...shown, run: { ...shown.run, ...figures } });
}
