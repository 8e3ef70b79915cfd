import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import { meQuery } from "@/api/queries";
import { pagesFor } from "@/features/pages-for";
import { Page } from "@/ui/panel";

export const Route = createFileRoute("/_signed-in/$")({ component: NoSuchPage });

/** Every address that no other route has. */
function NoSuchPage() {
  const [first] = pagesFor(useQuery(meQuery).data);
  return (
    <Page title="There is no such page">
      {first !== undefined && (
        <p>
          <Link to={first.to} className="text-accent underline">
            To the page {first.label}
          </Link>
        </p>
      )}
    </Page>
  );
}
