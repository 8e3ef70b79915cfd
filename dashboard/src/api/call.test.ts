import { afterEach, expect, test, vi } from "vitest";
import { isAtFields, problemOf } from "@/features/field-problem";
import { ApiError, call, mayBeBetterSoon } from "./call";
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

test("a problem of a field keeps its field, and a hint loses what only a developer can follow", async () => {
  const details = [{ parameter: "caratMin", message: "must be at most carat_max", value: "5" }];
  const error = {
    code: "VALIDATION_ERROR",
    message: "invalid",
    details,
    hint: "See docs/errors.md#validation_error.",
  };
  answering(Response.json({ error }, { status: 400 }));
  const refused = (await call("/x", {}).catch((reason: unknown) => reason)) as ApiError;
  expect(refused.hint).toBeUndefined();
  expect(refused.problems).toMatchObject([{ parameter: "caratMin" }]);
  const labels = { caratMin: "Carats from", caratMax: "Carats to" };
  expect(problemOf(refused, "caratMin", labels)).toBe("must be at most “Carats to”");
  expect(problemOf(refused, "caratMax", labels)).toBeUndefined();
  expect(isAtFields(refused, Object.keys(labels))).toBe(true);
  expect(isAtFields(refused, ["caratMax"])).toBe(false);
});

test.each([
  ["GET", "Check the connection, and try again."],
  ["POST", "It may have been done, or not: look before it is done again."],
])("no answer to a %s is told as such", async (method, hint) => {
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("Failed to fetch")));
  await expect(call("/x", { method })).rejects.toMatchObject({ status: 0, code: "UNREACHABLE", hint });
});

test.each([
  [0, true],
  [429, true],
  [503, true],
  [400, false],
  [404, false],
])("after a %i it may be better soon: %s", (status, isBetter) => {
  expect(mayBeBetterSoon(new ApiError(status, "", ""))).toBe(isBetter);
});
