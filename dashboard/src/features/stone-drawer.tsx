import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { diamondQuery, meQuery } from "@/api/queries";
import { Button } from "@/ui/button";
import { titleOf } from "./diamond-card";
import { StoneDetail } from "./stone-detail";
import { StoneTrade } from "./stone-trade";

interface Props {
  id: string;
  onClose: () => void;
}

/** One stone beside the list: over it on a phone, over its right side elsewhere, and where there is room in a column of its own. */
export function StoneDrawer({ id, onClose }: Props) {
  const diamond = useQuery(diamondQuery(id));
  const permissions = useQuery(meQuery).data?.permissions ?? [];
  const drawer = useRef<HTMLElement>(null);
  useEffect(() => {
    drawer.current?.focus();
    return () => focusStone(id);
  }, [id]);
  useEscape(onClose);
  return (
    <aside
      ref={drawer}
      tabIndex={-1}
      aria-label="The chosen stone"
      className="fixed inset-0 z-10 flex flex-col gap-4 overflow-y-auto border-line bg-ground p-4 outline-none lg:left-auto lg:w-[26rem] lg:border-l lg:shadow-xl xl:sticky xl:top-4 xl:z-auto xl:max-h-[calc(100vh-2rem)] xl:w-auto xl:rounded-lg xl:border xl:shadow-none"
    >
      <header className="flex items-start justify-between gap-2">
        <h2 className="text-base font-semibold">
          {diamond.data === undefined ? "Diamond" : titleOf(diamond.data)}
        </h2>
        <Button onClick={onClose}>Close</Button>
      </header>
      <Link to="/diamonds/$id" params={{ id }} className="text-accent underline">
        Open its page
      </Link>
      {diamond.data !== undefined && permissions.includes("trade") && <StoneTrade diamond={diamond.data} />}
      <StoneDetail id={id} />
    </aside>
  );
}

/** Where one was in the list, unless one went elsewhere meanwhile. */
function focusStone(id: string): void {
  if (document.activeElement !== document.body) return;
  document.querySelector<HTMLElement>(`a[href="/diamonds/${CSS.escape(id)}"]`)?.focus();
}

function useEscape(onEscape: () => void): void {
  useEffect(() => {
    const listen = ({ key }: KeyboardEvent) => {
      // A dialog that is open closes first.
      const isAlone = document.querySelector("[role=dialog], [role=alertdialog]") === null;
      if (key === "Escape" && isAlone) onEscape();
    };
    document.addEventListener("keydown", listen, { capture: true });
    return () => document.removeEventListener("keydown", listen, { capture: true });
  }, [onEscape]);
}
