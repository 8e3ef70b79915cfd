import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link, redirect } from "@tanstack/react-router";
import type { Summary } from "@/api/generated";
import { usePollUnlessLive } from "@/api/live";
import { meQuery, runsQuery, summaryQuery } from "@/api/queries";
import { AttentionList } from "@/features/attention";
import { OpenAlerts } from "@/features/open-alerts";
import { pagesFor } from "@/features/pages-for";
import { NEWEST_RUNS } from "@/features/run-steps";
import { RunTable } from "@/features/run-table";
import { StartRun } from "@/features/start-run";
import { formatAge, formatCount, formatMoment, formatPercent } from "@/format";
import { Answer } from "@/ui/answer";
import { Bars } from "@/ui/bars";
import { Figure, FigureRow } from "@/ui/figure";
import { Page, Panel } from "@/ui/panel";
import { useNow } from "@/ui/use-now";

export const Route = createFileRoute("/_signed-in/")({
  /** A key that may not see this page lands on the first that it may. */
  beforeLoad: async ({ context }) => {
    const [home] = pagesFor(await context.queryClient.ensureQueryData(meQuery));
    if (home !== undefined && home.to !== "/") throw redirect({ to: home.to });
  },
  component: Overview,
});

function Overview() {
  const refetchInterval = usePollUnlessLive();
  const summary = useQuery({ ...summaryQuery, refetchInterval });
  const runs = useQuery({ ...runsQuery(NEWEST_RUNS), refetchInterval });
  return (
    <Page title="Overview" aside={<StartRun kind="incremental" />}>
      <Answer of={summary}>{(data) => <Health summary={data} />}</Answer>
      <Panel
        title="Newest runs"
        aside={
          <Link to="/runs" className="text-accent underline">
            All runs
          </Link>
        }
      >
        <Answer of={runs}>{({ data }) => <RunTable runs={data} />}</Answer>
      </Panel>
    </Page>
  );
}

function Health({ summary }: { summary: Summary }) {
  const now = useNow();
  const { lastSuccessfulRun: last, freshness, recentRunsCount: recent } = summary;
  const { available, onHold, sold, unavailable } = summary.diamondsByAvailability;
  return (
    <>
      <OpenAlerts open={summary.openAlerts} />
      <FigureRow>
        <Figure
          label="Stones in the catalogue"
          note={freshness.isCurrent ? "exact, for the data as it is" : "changing now; seconds old"}
        >
          {formatCount(summary.totalActiveDiamonds)}
        </Figure>
        <Figure label="Read completely up to" note={formatMoment(summary.currentWatermark)}>
          {formatAge(summary.currentWatermark, now)}
        </Figure>
        <Figure
          label="Last good run"
          note={
            last === null ? (
              "A full run fills the catalogue."
            ) : (
              <Link to="/runs/$runId" params={{ runId: last.runId }} className="text-accent underline">
                {last.runType}, {formatMoment(last.completedAt)}
              </Link>
            )
          }
        >
          {formatAge(last?.completedAt ?? null, now)}
        </Figure>
        <Figure
          label="Runs of 7 days"
          note={`${recent.failed} failed, ${recent.partial} partial, ${recent.running} going on`}
        >
          {recent.completed} of {recent.total} good
        </Figure>
      </FigureRow>
      <div className="grid gap-4 lg:grid-cols-2">
        <Panel title="Needs a person">
          <AttentionList summary={summary} />
        </Panel>
        <Panel title="Availability">
          <Bars
            bars={[
              { label: "Available", count: available },
              { label: "On hold", count: onHold },
              { label: "Sold", count: sold },
              { label: "Unavailable", count: unavailable },
            ]}
            note={(count, total) => `${formatCount(count)} · ${formatPercent(count, total)}`}
          />
        </Panel>
      </div>
    </>
  );
}
