import { readKey } from "./session";

/** What the API refused, or could not be asked: in its own words, with what to do next. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint?: string,
    readonly traceId?: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** Every generated operation goes through here. */
export async function call<Answer>(url: string, options: RequestInit): Promise<Answer> {
  const response = await request(url, options);
  return (await response.json()) as Answer;
}

/** A file as it streams in; `onBytes` is told how many have come. */
export async function stream(
  url: string,
  options: RequestInit,
  onBytes: (bytes: number) => void,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const response = await request(url, options);
  let bytes = 0;
  const counted = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(piece, controller) {
      bytes += piece.byteLength;
      onBytes(bytes);
      controller.enqueue(piece);
    },
  });
  return (response.body ?? new ReadableStream()).pipeThrough(counted);
}

/** The key travels in a header, and a refusal becomes an ApiError. */
async function request(url: string, options: RequestInit): Promise<Response> {
  const headers = new Headers(options.headers);
  const key = readKey();
  if (key !== null && !headers.has("X-API-Key")) headers.set("X-API-Key", key);
  const response = await fetchOrExplain(url, { ...options, headers });
  if (!response.ok) throw await refusal(response);
  return response;
}

export async function fetchOrExplain(url: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(
      0,
      "UNREACHABLE",
      "the API does not answer",
      "Check the connection; it is tried again.",
    );
  }
}

export async function refusal(response: Response): Promise<ApiError> {
  const traceId = response.headers.get("X-Trace-Id") ?? undefined;
  try {
    const { error } = await response.json();
    return new ApiError(response.status, error.code, describe(error), error.hint, traceId);
  } catch {
    const text = `the server answered ${response.status} ${response.statusText}`.trimEnd();
    return new ApiError(response.status, "UNKNOWN", text, undefined, traceId);
  }
}

interface Refusal {
  message: string;
  details?: unknown;
}

/** The message, and for a body that is refused what is wrong with each field. */
function describe({ message, details }: Refusal): string {
  if (!Array.isArray(details)) return message;
  const problems = details.map((each) => [each.parameter, each.message].filter(Boolean).join(": "));
  return problems.filter(Boolean).join("; ") || message;
}
