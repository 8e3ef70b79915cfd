import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import { replayRejectedStones } from "@/api/generated";
import { rejectedStoneQuery } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { formatMoment } from "@/format";
import { Answer } from "@/ui/answer";
import { Confirm } from "@/ui/confirm";
import { Figure, FigureRow } from "@/ui/figure";
import { Page, Panel } from "@/ui/panel";
import { Payload } from "@/ui/payload";
import { Trail } from "@/ui/trail";

export const Route = createFileRoute("/_signed-in/rejected/$feed/$stoneId")({ component: RejectedPage });

function RejectedPage() {
  const { feed, stoneId } = Route.useParams();
  const stone = useQuery(rejectedStoneQuery(feed, stoneId));
  const canReplay = stone.data?.readable === true && stone.data.resolvedAt === null;
  return (
    <Page title="Rejected stone" aside={canReplay && <Replay feed={feed} stoneId={stoneId} />}>
      <Trail to="/rejected" label="Rejected stones" id={stoneId} />
      <Answer of={stone} rows={8}>
        {(data) => (
          <>
            <FigureRow>
              <Figure label="Reason" note={<code className="break-all">{data.jsonPath}</code>}>
                <span className="text-base">{data.reason}</span>
              </Figure>
              <Figure label="First seen">
                <span className="text-sm">{formatMoment(data.firstSeenAt)}</span>
              </Figure>
              <Figure
                label="Last seen"
                note={
                  <Link to="/runs/$runId" params={{ runId: data.runId }} className="text-accent underline">
                    by this run
                  </Link>
                }
              >
                <span className="text-sm">{formatMoment(data.lastSeenAt)}</span>
              </Figure>
              <Figure label="Resolved">
                <span className="text-sm">{formatMoment(data.resolvedAt)}</span>
              </Figure>
            </FigureRow>
            <Panel title="What the supplier sent">
              <Payload value={data.payload} path={data.jsonPath} />
            </Panel>
          </>
        )}
      </Answer>
    </Page>
  );
}

function Replay({ feed, stoneId }: { feed: string; stoneId: string }) {
  const replay = useThenRefresh(["rejected-stone", feed, stoneId])(() =>
    replayRejectedStones({ feed, ids: [stoneId] }),
  );
  return (
    <Confirm action="Replay" look="primary" title="Replay this stone?" onConfirm={replay}>
      Its stored answer is mapped and priced anew; it is on sale if it can become a diamond now.
    </Confirm>
  );
}
