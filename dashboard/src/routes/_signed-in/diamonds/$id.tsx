import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import { diamondQuery, meQuery } from "@/api/queries";
import { titleOf } from "@/features/diamond-card";
import { StoneDetail } from "@/features/stone-detail";
import { StoneTrade } from "@/features/stone-trade";
import { Page } from "@/ui/panel";
import { Trail } from "@/ui/trail";

export const Route = createFileRoute("/_signed-in/diamonds/$id")({ component: DiamondPage });

function DiamondPage() {
  const { id } = Route.useParams();
  const diamond = useQuery(diamondQuery(id));
  const permissions = useQuery(meQuery).data?.permissions ?? [];
  return (
    <Page
      title={diamond.data === undefined ? "Diamond" : titleOf(diamond.data)}
      aside={
        diamond.data !== undefined && permissions.includes("trade") && <StoneTrade diamond={diamond.data} />
      }
    >
      <Trail to="/diamonds" label="Diamonds" id={id} />
      <StoneDetail id={id} />
    </Page>
  );
}
