import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import type { RunSummary } from "@/api/generated";
import { usePollUnlessLive } from "@/api/live";
import { runsQuery } from "@/api/queries";
import { RunActions } from "@/features/run-actions";
import { whichRun } from "@/features/run-table";
import { StartRun } from "@/features/start-run";
import { NOTHING } from "@/format";
import { Answer } from "@/ui/answer";
import { LongText } from "@/ui/long-text";
import { Empty } from "@/ui/notices";
import { Page, Panel } from "@/ui/panel";
import { type Column, Table } from "@/ui/table";

export const Route = createFileRoute("/_signed-in/triggers")({ component: Triggers });

/** The newest runs that go on, or that ended without everything. */
const OPEN = { status: ["running" as const, "failed" as const, "partial" as const], limit: 10 };

function Triggers() {
  const runs = useQuery({ ...runsQuery(OPEN), refetchInterval: usePollUnlessLive() });
  const isBusy = runs.data?.data.some((run) => run.status === "running") ?? false;
  return (
    <Page title="Triggers">
      <Panel title="Start a run">
        <div className="flex flex-wrap items-center gap-2">
          <StartRun kind="incremental" />
          <StartRun kind="full" />
          {isBusy && <span className="text-muted">One run of a feed goes on at a time.</span>}
        </div>
      </Panel>
      <Panel title="Runs that go on, or wait for a person">
        <Answer of={runs}>
          {({ data }) =>
            data.length === 0 ? (
              <Empty title="No run needs anything.">Every one of the newest has completed.</Empty>
            ) : (
              <Table caption="open runs" columns={COLUMNS} rows={data} keyOf={(run) => run.runId} />
            )
          }
        </Answer>
      </Panel>
      <Panel title="Elsewhere">
        <ul className="flex flex-col gap-2">
          <Elsewhere to="/rejected" label="Rejected stones">
            map stones in quarantine anew
          </Elsewhere>
          <Elsewhere to="/dead-letters" label="Dead letters">
            hand on messages once more
          </Elsewhere>
          <Elsewhere to="/heatmap" label="Heatmap">
            count the inventory by price
          </Elsewhere>
          <Elsewhere to="/consolidation" label="Consolidation">
            set the watermark
          </Elsewhere>
        </ul>
      </Panel>
      <Panel title="The same from a terminal">
        <Table
          caption="commands"
          columns={COMMAND_COLUMNS}
          rows={COMMANDS}
          keyOf={({ command }) => command}
        />
      </Panel>
    </Page>
  );
}

const COLUMNS: Column<RunSummary>[] = [
  ...whichRun<RunSummary>(),
  { title: "Why", cell: (run) => <LongText text={run.error ?? NOTHING} /> },
  {
    title: "What to do",
    cell: (run) => (
      <div className="flex flex-wrap gap-2">
        <RunActions run={run} />
      </div>
    ),
  },
];

interface ElsewhereProps {
  to: "/rejected" | "/dead-letters" | "/heatmap" | "/consolidation";
  label: string;
  children: string;
}

function Elsewhere({ to, label, children }: ElsewhereProps) {
  return (
    <li>
      <Link to={to} className="text-accent underline">
        {label}
      </Link>
      : {children}
    </li>
  );
}

const COMMANDS = [
  { command: "diamond schedule --type full", does: "plan a run; workers and consolidators do the rest" },
  { command: "diamond retry RUN", does: "read what failed, from where it was" },
  { command: "diamond consolidate RUN", does: "consolidate a run, or go on; --force without what failed" },
  { command: "diamond accept-removals RUN", does: "let stones be removed that the guard kept" },
  { command: "diamond cancel RUN", does: "close a run" },
  { command: "diamond status RUN", does: "where it stands, and what can be done" },
];

const COMMAND_COLUMNS: Column<(typeof COMMANDS)[number]>[] = [
  { title: "Command", cell: ({ command }) => <code className="whitespace-nowrap">{command}</code> },
  { title: "What it does", cell: ({ does }) => does },
];
