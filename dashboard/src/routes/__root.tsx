import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, Link, Outlet } from "@tanstack/react-router";
import { Empty } from "@/ui/notices";

export const Route = createRootRouteWithContext<{ queryClient: QueryClient }>()({
  component: Outlet,
  notFoundComponent: () => (
    <Empty title="There is no such page">
      <Link to="/" className="text-accent underline">
        To the overview
      </Link>
    </Empty>
  ),
});
