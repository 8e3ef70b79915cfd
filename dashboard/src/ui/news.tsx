import { useEffect, useSyncExternalStore } from "react";

const SHOWN_MILLISECONDS = 8_000;

let news = "";
const listeners = new Set<() => void>();

/** Says what has come of an action, also to who does not see that the page has changed. */
export function tell(text: string): void {
  news = text;
  for (const listener of listeners) listener();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

/** Once in the whole page, and always there: a live region that comes with its text is not read. */
export function News() {
  const text = useSyncExternalStore(subscribe, () => news);
  useEffect(() => {
    if (text === "") return;
    const timer = setTimeout(() => tell(""), SHOWN_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <p
      role="status"
      className={
        text === ""
          ? "sr-only"
          : "fixed right-4 bottom-4 left-4 z-10 mx-auto w-fit rounded-md border border-line bg-surface px-4 py-2 shadow-xl"
      }
    >
      {text}
    </p>
  );
}
