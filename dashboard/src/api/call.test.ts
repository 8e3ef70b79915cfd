import { afterEach, expect, test, vi } from "vitest";
import { ApiError, call } from "./call";
import { forgetKey, keepKey } from "./session";

afterEach(() => {
  vi.unstubAllGlobals();
  forgetKey();
});

const answering = (response: Response) => {
  const fetch = vi.fn(async (_url: string, _options: RequestInit) => response);
  vi.stubGlobal("fetch", fetch);
  return fetch;
};

test("the key of the tab travels in a header, unless the call brings another", async () => {
  keepKey("dk_mine");
  const fetch = answering(Response.json({}));
  await call("/x", {});
  expect(new Headers(fetch.mock.calls[0]?.[1].headers).get("X-API-Key")).toBe("dk_mine");
  answering(Response.json({}));
  const other = answering(Response.json({}));
  await call("/x", { headers: { "X-API-Key": "dk_other" } });
  expect(new Headers(other.mock.calls[0]?.[1].headers).get("X-API-Key")).toBe("dk_other");
});

test("a refusal keeps its words, its hint and its trace", async () => {
  const error = { code: "CONFLICT", message: "a run goes on", hint: "Wait for it." };
  answering(Response.json({ error }, { status: 409, headers: { "X-Trace-Id": "t" } }));
  const refused = await call("/x", {}).catch((reason: unknown) => reason);
  expect(refused).toBeInstanceOf(ApiError);
  expect(refused).toMatchObject({
    status: 409,
    message: "a run goes on",
    hint: "Wait for it.",
    traceId: "t",
  });
});

test("what is wrong with each parameter is said", async () => {
  const details = [{ parameter: "page", message: "must be 1 or more" }];
  answering(
    Response.json({ error: { code: "VALIDATION_ERROR", message: "invalid", details } }, { status: 400 }),
  );
  await expect(call("/x", {})).rejects.toThrow("page: must be 1 or more");
});

test("an answer that is not the API's own names its status", async () => {
  answering(new Response("<html>", { status: 502, statusText: "Bad Gateway" }));
  await expect(call("/x", {})).rejects.toThrow("the server answered 502 Bad Gateway");
});

test("no answer at all is told as such", async () => {
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("Failed to fetch")));
  await expect(call("/x", {})).rejects.toMatchObject({ status: 0, code: "UNREACHABLE" });
});
