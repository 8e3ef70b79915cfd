import { Link } from "@tanstack/react-router";
import type { Me, Permission } from "@/api/generated";
import { Empty } from "@/ui/notices";
import { Page } from "@/ui/panel";
import { pagesFor } from "./pages-for";

/** Instead of a page that the key may not use, with nothing of it. */
export function NoPermission({ me, lacking }: { me: Me; lacking: Permission }) {
  const [first] = pagesFor(me);
  return (
    <Page title="Not with this key">
      <Empty title={`This page needs the permission ${lacking}.`}>
        {me.name} may {me.permissions.join(", ")}.{" "}
        {first !== undefined && (
          <Link to={first.to} className="text-accent underline">
            To {first.label}
          </Link>
        )}
      </Empty>
    </Page>
  );
}
