import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import type { ListRunsParams } from "@/api/generated";
import { usePollUnlessLive } from "@/api/live";
import { runsQuery } from "@/api/queries";
import { type RunSearch, readRunSearch, STATUSES, TYPES } from "@/features/run-search";
import { NoRunYet, runColumns } from "@/features/run-table";
import { StartRun } from "@/features/start-run";
import { Button } from "@/ui/button";
import { Choice } from "@/ui/choice";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import { useNow } from "@/ui/use-now";

export const Route = createFileRoute("/_signed-in/runs/")({ validateSearch: readRunSearch, component: Runs });

function Runs() {
  const search = Route.useSearch();
  const navigate = Route.useNavigate();
  const now = useNow();
  const refetchInterval = usePollUnlessLive();
  const filters: ListRunsParams = {
    page: search.page,
    limit: PER_PAGE,
    run_type: search.runType,
    status: search.status,
  };
  const runs = useQuery({ ...runsQuery(filters), refetchInterval });
  const filter = (change: RunSearch) => void navigate({ search: { ...search, page: undefined, ...change } });
  const isFiltered = search.status !== undefined || search.runType !== undefined;
  return (
    <Page
      title="Runs"
      aside={
        <div className="flex flex-wrap gap-2">
          <StartRun kind="incremental" />
          <StartRun kind="full" />
        </div>
      }
    >
      <div className="flex flex-wrap gap-3">
        <Choice
          label="Status"
          options={STATUSES}
          value={search.status?.length === 1 ? search.status[0] : undefined}
          several={
            search.status !== undefined && search.status.length > 1 ? search.status.join(" or ") : undefined
          }
          onChange={(status) => filter({ status: status && [status] })}
        />
        <Choice
          label="Type"
          options={TYPES}
          value={search.runType}
          onChange={(runType) => filter({ runType })}
        />
      </div>
      <Panel title="Newest first">
        <PagedList
          of={runs}
          noun="run"
          columns={runColumns(now)}
          keyOf={(run) => run.runId}
          page={search.page ?? 1}
          onPage={(page) => void navigate({ search: { ...search, page } })}
          empty={
            isFiltered ? (
              <Empty title="No run is like that">
                <Button onClick={() => void navigate({ search: {} })}>Show all runs</Button>
              </Empty>
            ) : (
              <NoRunYet />
            )
          }
        />
      </Panel>
    </Page>
  );
}
