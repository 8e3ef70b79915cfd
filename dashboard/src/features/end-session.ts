import type { QueryClient } from "@tanstack/react-query";
import type { RegisteredRouter } from "@tanstack/react-router";
import { forgetKey } from "@/api/session";

/** Away from what the key no longer opens, to the login that comes back to the same address. */
export function endSession(router: RegisteredRouter, queryClient: QueryClient, expired: boolean): void {
  forgetKey();
  const { href, pathname } = router.state.location;
  if (pathname !== "/login") void router.navigate({ to: "/login", search: { from: href, expired } });
  queryClient.clear();
}
