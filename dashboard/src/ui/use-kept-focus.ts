import { useEffect, useRef } from "react";

/** The page's heading: where reading goes on when what had the focus is no more. */
function focusHeading(): void {
  const heading = document.querySelector("h1");
  if (heading === null) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** Keeps the focus from falling back to the top of the document: after a change of page, and when its holder goes. */
export function useKeptFocus(pathname: string | undefined): void {
  const shown = useRef(pathname);
  useEffect(() => {
    // The first page is where the browser put the focus.
    if (shown.current !== undefined && shown.current !== pathname) focusHeading();
    shown.current = pathname;
  }, [pathname]);
  useEffect(() => {
    let holder: Element | null = null;
    const note = ({ target }: FocusEvent) => {
      holder = target instanceof Element ? target : null;
    };
    const rescue = () => {
      if (document.activeElement !== document.body || holder === null || holder.isConnected) return;
      holder = null;
      focusHeading();
    };
    // A dialog that closes gives the focus back itself, a moment later than it goes.
    const observer = new MutationObserver(() => setTimeout(rescue));
    document.addEventListener("focusin", note);
    observer.observe(document.body, { childList: true, subtree: true });
    return () => {
      document.removeEventListener("focusin", note);
      observer.disconnect();
    };
  }, []);
}
