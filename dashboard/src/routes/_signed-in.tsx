import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Outlet, redirect, useLocation } from "@tanstack/react-router";
import { LiveContext, useLiveUpdates } from "@/api/live";
import { meQuery } from "@/api/queries";
import { readKey } from "@/api/session";
import { NoPermission } from "@/features/no-permission";
import { lackingFor } from "@/features/pages-for";
import { Shell } from "@/features/shell";

export const Route = createFileRoute("/_signed-in")({
  beforeLoad: ({ location }) => {
    if (readKey() === null) throw redirect({ to: "/login", search: { from: location.href } });
  },
  component: SignedIn,
});

function SignedIn() {
  const me = useQuery(meQuery);
  const pathname = useLocation({ select: (location) => location.pathname });
  const lacking = me.data && lackingFor(me.data, pathname);
  const isLive = useLiveUpdates(me.data?.permissions.includes("admin") ?? false);
  return (
    <LiveContext value={isLive}>
      <Shell me={me.data}>
        {me.data !== undefined && lacking !== undefined ? (
          <NoPermission me={me.data} lacking={lacking} />
        ) : (
          <Outlet />
        )}
      </Shell>
    </LiveContext>
  );
}
