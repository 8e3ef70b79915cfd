import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Outlet, redirect } from "@tanstack/react-router";
import { LiveContext, useLiveUpdates } from "@/api/live";
import { meQuery } from "@/api/queries";
import { readKey } from "@/api/session";
import { Shell } from "@/features/shell";

export const Route = createFileRoute("/_signed-in")({
  beforeLoad: ({ location }) => {
    if (readKey() === null) throw redirect({ to: "/login", search: { from: location.href } });
  },
  component: SignedIn,
});

function SignedIn() {
  const me = useQuery(meQuery);
  const isLive = useLiveUpdates(me.data?.permissions.includes("admin") ?? false);
  return (
    <LiveContext value={isLive}>
      <Shell me={me.data}>
        <Outlet />
      </Shell>
    </LiveContext>
  );
}
