import { useSyncExternalStore } from "react";

/** As wide as the `lg` of the classes: room for something beside a list. */
const WIDE = "(min-width: 64rem)";

export const isWide = (): boolean => matchMedia(WIDE).matches;

export function useIsWide(): boolean {
  return useSyncExternalStore((onChange) => {
    const media = matchMedia(WIDE);
    media.addEventListener("change", onChange);
    return () => media.removeEventListener("change", onChange);
  }, isWide);
}
