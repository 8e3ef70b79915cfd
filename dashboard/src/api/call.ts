import { readKey } from "./session";

/** What the API refused, or could not be asked: in its own words, with what to do next. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint?: string,
    readonly traceId?: string,
    /** What is wrong with which parameter or field. */
    readonly problems: Problem[] = [],
  ) {
    super(message);
    this.name = "ApiError";
  }
}

interface Problem {
  parameter: string;
  message: string;
}

export const isUnreachable = (error: unknown): boolean => error instanceof ApiError && error.status === 0;

/** Refusals are final; only what may be better in a moment is asked again. */
export const mayBeBetterSoon = (error: Error): boolean =>
  error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);

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

const isQuestion = ({ method = "GET" }: RequestInit): boolean => method === "GET";

export async function fetchOrExplain(url: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(
      0,
      "UNREACHABLE",
      "the API does not answer",
      isQuestion(options)
        ? "Check the connection, and try again."
        : "It may have been done, or not: look before it is done again.",
    );
  }
}

export async function refusal(response: Response): Promise<ApiError> {
  const traceId = response.headers.get("X-Trace-Id") ?? undefined;
  try {
    const { error } = await response.json();
    const problems = problemsOf(error.details);
    const text = problems.map(({ parameter, message }) => `${parameter}: ${message}`).join("; ");
    return new ApiError(
      response.status,
      error.code,
      text || error.message,
      withoutReference(error.hint),
      traceId,
      problems,
    );
  } catch {
    const text = `the server answered ${response.status} ${response.statusText}`.trimEnd();
    return new ApiError(response.status, "UNKNOWN", text, undefined, traceId);
  }
}

/** Those of a body that was refused; what else an error tells has another shape. */
const problemsOf = (details: unknown): Problem[] =>
  Array.isArray(details)
    ? details.filter((each) => typeof each?.parameter === "string" && typeof each.message === "string")
    : [];

/** A hint ends with a file of the source code, which nobody has here. */
const withoutReference = (hint: string | undefined): string | undefined =>
  hint?.replace(/ ?See docs\/errors\.md#\w+\.$/, "") || undefined;
