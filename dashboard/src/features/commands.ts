import type { NavigateOptions } from "@tanstack/react-router";
import type { Me } from "@/api/generated";
import { pagesFor } from "./pages-for";

export interface Command {
  label: string;
  target: NavigateOptions;
}

const AN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Where somebody may want to go who has typed this: pages in whose name every word occurs, or what has this id. */
export function commandsFor(me: Me | undefined, typed: string): Command[] {
  const words = typed.trim().toLowerCase().split(/\s+/);
  const pages = pagesFor(me).filter(({ label }) => words.every((word) => label.toLowerCase().includes(word)));
  return [
    ...pages.map(({ to, label }): Command => ({ label, target: { to } })),
    ...(AN_ID.test(typed.trim()) ? thingsOf(me, typed.trim().toLowerCase()) : []),
  ];
}

/** An id does not tell what it is of: each page says so itself when there is no such thing. */
function thingsOf(me: Me | undefined, id: string): Command[] {
  const stone: Command = { label: `Stone ${id}`, target: { to: "/diamonds/$id", params: { id } } };
  const run: Command = { label: `Run ${id}`, target: { to: "/runs/$runId", params: { runId: id } } };
  return me?.permissions.includes("admin") ? [run, stone] : [stone];
}
