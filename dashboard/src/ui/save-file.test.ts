import { afterEach, expect, test, vi } from "vitest";
import { saveStream } from "./save-file";

afterEach(() => vi.unstubAllGlobals());

const bytes = () => new Response("a,b").body ?? new ReadableStream<Uint8Array<ArrayBuffer>>();
const signal = new AbortController().signal;

test("a file goes to the place that was chosen, before anything is asked for", async () => {
  const steps: string[] = [];
  let written = "";
  const createWritable = async () =>
    new WritableStream({
      write: (piece: Uint8Array) => {
        written += new TextDecoder().decode(piece);
      },
    });
  vi.stubGlobal("showSaveFilePicker", async ({ suggestedName }: { suggestedName: string }) => {
    steps.push(suggestedName);
    return { createWritable };
  });
  const open = async () => {
    steps.push("asked");
    return bytes();
  };
  await saveStream(open, "x.csv", signal);
  expect([steps, written]).toEqual([["x.csv", "asked"], "a,b"]);
});

test("who chooses no place asks for nothing", async () => {
  vi.stubGlobal("showSaveFilePicker", async () => Promise.reject(new DOMException("", "AbortError")));
  const open = vi.fn(async () => bytes());
  await expect(saveStream(open, "x.csv", signal)).rejects.toMatchObject({ name: "AbortError" });
  expect(open).not.toHaveBeenCalled();
});
