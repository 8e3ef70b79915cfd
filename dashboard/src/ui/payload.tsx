import { markPath } from "./marked-json";

/** JSON as it was received, with the value that a path leads to marked. */
export function Payload({ value, path }: { value: unknown; path: string }) {
  const { before, marked, after } = markPath(value, path);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it with the keyboard
    <pre tabIndex={0} className="max-h-[70vh] overflow-auto rounded-md bg-raised p-3 text-xs">
      {before}
      {marked !== "" && <mark className="rounded bg-bad-ground px-0.5 font-semibold text-bad">{marked}</mark>}
      {after}
    </pre>
  );
}
