import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Outlet, redirect, useLocation, useRouter } from "@tanstack/react-router";
import { useEffect } from "react";
import { LiveContext, useLiveUpdates } from "@/api/live";
import { meQuery } from "@/api/queries";
import { readKey } from "@/api/session";
import { ApiAway } from "@/features/api-away";
import { loadPagesWhenIdle } from "@/features/load-pages";
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
  const router = useRouter();
  const me = useQuery(meQuery);
  const pathname = useLocation({ select: (location) => location.pathname });
  const lacking = me.data && lackingFor(me.data, pathname);
  const isLive = useLiveUpdates(me.data?.permissions.includes("admin") ?? false);
  useEffect(() => loadPagesWhenIdle(router), [router]);
  return (
    <LiveContext value={isLive}>
      <Shell me={me.data}>
        <ApiAway />
        {me.data !== undefined && lacking !== undefined ? (
          <NoPermission me={me.data} lacking={lacking} />
        ) : (
          <Outlet />
        )}
      </Shell>
    </LiveContext>
  );
}
