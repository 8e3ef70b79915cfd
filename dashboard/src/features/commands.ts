import type { NavigateOptions } from "@tanstack/react-router";
import type { Diamond, Me } from "@/api/generated";
import { titleOf } from "./diamond-card";
import { pagesFor } from "./pages-for";

export interface Command {
  label: string;
  target: NavigateOptions;
}

/** What is done on a page, and its words where they are others. */
const DEEDS = [
  { label: "Start a run", to: "/triggers" },
  { label: "Scan the inventory by price", to: "/heatmap" },
  { label: "Set the watermark", to: "/consolidation" },
  { label: "Replay rejected stones", to: "/rejected" },
  { label: "Make a price rule", to: "/price-rules" },
  { label: "Make an API key", to: "/api-keys" },
] as const;

const AN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Where somebody may want to go who has typed this: pages and deeds in whose name every word occurs, or what has this id. */
export function commandsFor(me: Me | undefined, typed: string): Command[] {
  const words = typed.trim().toLowerCase().split(/\s+/);
  const pages = pagesFor(me);
  const deeds = DEEDS.filter(({ to }) => pages.some((page) => page.to === to));
  const named = [...pages, ...deeds].filter(({ label }) =>
    words.every((word) => label.toLowerCase().includes(word)),
  );
  return [
    ...named.map(({ to, label }): Command => ({ label, target: { to } })),
    ...(AN_ID.test(typed.trim()) ? thingsOf(me, typed.trim().toLowerCase()) : []),
  ];
}

/** A certificate's number, as people have it at hand: it has digits, and nothing else looks like it. */
export const isCertificate = (typed: string): boolean => /^(?=.*\d)[a-z0-9-]{5,20}$/i.test(typed);

export const stoneCommand = (diamond: Diamond): Command => ({
  label: `${titleOf(diamond)}, ${diamond.certificateLab ?? "certificate"} ${diamond.certificateNumber}`,
  target: { to: "/diamonds/$id", params: { id: diamond.id } },
});

/** An id does not tell what it is of: each page says so itself when there is no such thing. */
function thingsOf(me: Me | undefined, id: string): Command[] {
  const stone: Command = { label: `Stone ${id}`, target: { to: "/diamonds/$id", params: { id } } };
  const run: Command = { label: `Run ${id}`, target: { to: "/runs/$runId", params: { runId: id } } };
  return me?.permissions.includes("admin") ? [run, stone] : [stone];
}
