import type { Me, Permission } from "@/api/generated";

/** Every page that the navigation offers, and what a key needs for it; the first that it may see is where it lands. */
const PAGES = [
  { to: "/", label: "Overview", needs: "admin" },
  { to: "/alerts", label: "Alerts", needs: "admin" },
  { to: "/runs", label: "Runs", needs: "admin" },
  { to: "/consolidation", label: "Consolidation", needs: "admin" },
  { to: "/heatmap", label: "Heatmap", needs: "admin" },
  { to: "/diamonds", label: "Diamonds", needs: "read" },
  { to: "/feeds", label: "Feeds", needs: "admin" },
  { to: "/rejected", label: "Rejected stones", needs: "admin" },
  { to: "/orders", label: "Orders", needs: "admin" },
  { to: "/holds", label: "Holds", needs: "admin" },
  { to: "/price-rules", label: "Price rules", needs: "cost" },
  { to: "/nivoda", label: "Nivoda", needs: "admin" },
  { to: "/query", label: "Query builder", needs: "admin" },
  { to: "/triggers", label: "Triggers", needs: "admin" },
  { to: "/dead-letters", label: "Dead letters", needs: "admin" },
  { to: "/api-keys", label: "API keys", needs: "admin" },
  { to: "/error-logs", label: "Error logs", needs: "admin" },
  { to: "/audit-log", label: "Audit log", needs: "admin" },
] as const satisfies { to: string; label: string; needs: Permission }[];

/** The page at a path, or above it: that of one run is below that of all. */
const pageAt = (pathname: string) =>
  PAGES.find(({ to }) => pathname === to || (to !== "/" && pathname.startsWith(`${to}/`)));

/** What a link to a path is called; undefined where there is no page. */
export const labelOf = (pathname: string): string | undefined =>
  pathname.startsWith("/runs/") ? "The run" : pageAt(pathname)?.label;

/** The permission that a page lacks with this key; a page below another, as that of one run, needs what that needs. */
export function lackingFor(me: Me, pathname: string): Permission | undefined {
  const page = pageAt(pathname);
  return page === undefined || me.permissions.includes(page.needs) ? undefined : page.needs;
}

export const pagesFor = (me: Me | undefined) => PAGES.filter(({ needs }) => me?.permissions.includes(needs));
