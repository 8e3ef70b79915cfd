import { fetchOrExplain, refusal } from "./call";
import { readKey } from "./session";

export interface ServerEvent {
  name: string;
  data: unknown;
}

/** Reads /analytics/events until it ends; the key must travel in a header, which EventSource cannot do. */
export async function* readEvents(signal: AbortSignal): AsyncGenerator<ServerEvent> {
  const headers = { "X-API-Key": readKey() ?? "" };
  const response = await fetchOrExplain("/api/v2/analytics/events", { headers, signal });
  if (!response.ok || response.body === null) throw await refusal(response);
  yield { name: "open", data: null };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop() ?? "";
    yield* blocks.map(parseEvent).filter((event) => event !== null);
  }
}

/** One block of a stream; null when it holds no data, as a comment or a retry time. */
export function parseEvent(block: string): ServerEvent | null {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data.push(line.slice(5).trim());
  }
  return data.length > 0 ? { name, data: JSON.parse(data.join("\n")) } : null;
}
