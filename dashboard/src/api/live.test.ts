import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { parseEvent, readEvents } from "./event-stream";
import { apply } from "./live";
import { Refresher } from "./refresher";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function stream(...parts: string[]): Response {
  const bytes = parts.map((part) => new TextEncoder().encode(part));
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const part of bytes) controller.enqueue(part);
      controller.close();
    },
  });
  return new Response(body);
}

test("a block without data is no event", () => {
  expect(parseEvent("retry: 2000")).toBeNull();
  expect(parseEvent(": still here")).toBeNull();
  expect(parseEvent('event: run\ndata: {"runId":"1"}')).toEqual({ name: "run", data: { runId: "1" } });
});

test("events are read wherever the network cuts them", async () => {
  vi.stubGlobal("fetch", async () =>
    stream("retry: 2000\n\nevent: ru", 'n\ndata: {"a"', ":1}\n", "\n: hm\n\n"),
  );
  const events = [];
  for await (const event of readEvents(new AbortController().signal)) events.push(event);
  expect(events).toEqual([
    { name: "open", data: null },
    { name: "run", data: { a: 1 } },
  ]);
});

test("a refused stream says why", async () => {
  vi.stubGlobal("fetch", async () =>
    Response.json({ error: { code: "FORBIDDEN", message: "shop lacks admin" } }, { status: 403 }),
  );
  await expect(readEvents(new AbortController().signal).next()).rejects.toThrow("shop lacks admin");
});

test("an event is laid over what is known of its run, and nothing else is lost", () => {
  const client = new QueryClient();
  client.setQueryData(["run", "r"], {
    run: { runId: "r", state: "ingesting", feed: "nivoda", fetchedRecords: 1 },
    partitions: [{ runId: "r", partitionId: "a", state: "running", fetchedRecords: 1, notes: ["kept"] }],
  });
  const refresher = new Refresher(client);
  apply(client, refresher, { name: "run", data: { runId: "r", state: "ingesting", fetchedRecords: 7 } });
  apply(client, refresher, {
    name: "partition",
    data: { runId: "r", partitionId: "a", state: "running", fetchedRecords: 7 },
  });
  expect(client.getQueryData(["run", "r"])).toEqual({
    run: { runId: "r", state: "ingesting", feed: "nivoda", fetchedRecords: 7 },
    partitions: [{ runId: "r", partitionId: "a", state: "running", fetchedRecords: 7, notes: ["kept"] }],
  });
});

test("what needs a person is asked for again when it changes, and what is wrong too", () => {
  const client = new QueryClient();
  const asked = vi.spyOn(client, "invalidateQueries");
  apply(client, new Refresher(client), { name: "attention", data: { openAlerts: 1 } });
  expect(asked.mock.calls.map(([filters]) => filters?.queryKey)).toEqual([["summary"], ["alerts"]]);
});

test("a question is asked at once, then once more however often it is wanted meanwhile", () => {
  const client = new QueryClient();
  const asked = vi.spyOn(client, "invalidateQueries");
  const refresher = new Refresher(client, 5_000);
  for (let wanted = 0; wanted < 100; wanted += 1) refresher.refresh(["summary"]);
  expect(asked).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(5_000);
  expect(asked).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(60_000);
  expect(asked).toHaveBeenCalledTimes(2);
});

test("nothing is asked after the end", () => {
  const client = new QueryClient();
  const asked = vi.spyOn(client, "invalidateQueries");
  const refresher = new Refresher(client);
  refresher.refresh(["summary"]);
  refresher.refresh(["summary"]);
  refresher.close();
  vi.runAllTimers();
  expect(asked).toHaveBeenCalledTimes(1);
});
