import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import type { ListRunsParams } from "@/api/generated";
import { usePollUnlessLive } from "@/api/live";
import { runsQuery } from "@/api/queries";
import { RunTable } from "@/features/run-table";
import { StartRun } from "@/features/start-run";
import { formatCount } from "@/format";
import { Answer } from "@/ui/answer";
import { Choice } from "@/ui/choice";
import { Empty } from "@/ui/notices";
import { Pages } from "@/ui/pages";
import { Page, Panel } from "@/ui/panel";

const STATUSES = ["running", "completed", "partial", "failed"] as const;
const TYPES = ["full", "incremental"] as const;

interface Search {
  status?: (typeof STATUSES)[number][];
  runType?: (typeof TYPES)[number];
  page?: number;
}

/** The address holds the filters, so that a view can be sent to a colleague; what is no filter is left out. */
export function readSearch(search: Record<string, unknown>): Search {
  const given = [search.status].flat();
  const status = STATUSES.filter((each) => given.includes(each));
  const page = Number(search.page);
  return {
    status: status.length > 0 ? status : undefined,
    runType: TYPES.find((each) => each === search.runType),
    page: Number.isSafeInteger(page) && page > 1 ? page : undefined,
  };
}

export const Route = createFileRoute("/_signed-in/runs/")({ validateSearch: readSearch, component: Runs });

const PER_PAGE = 25;

function Runs() {
  const search = Route.useSearch();
  const navigate = Route.useNavigate();
  const refetchInterval = usePollUnlessLive();
  const filters: ListRunsParams = {
    page: search.page,
    limit: PER_PAGE,
    run_type: search.runType,
    status: search.status,
  };
  const runs = useQuery({ ...runsQuery(filters), refetchInterval });
  const filter = (change: Search) => void navigate({ search: { ...search, page: undefined, ...change } });
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
        <Answer of={runs}>
          {({ data, pagination }) =>
            data.length === 0 && isFiltered ? (
              <Empty title="No run is like that">
                <button
                  type="button"
                  className="text-accent underline"
                  onClick={() => void navigate({ search: {} })}
                >
                  Show all runs
                </button>
              </Empty>
            ) : (
              <>
                <RunTable runs={data} />
                <Pages
                  page={search.page ?? 1}
                  total={pagination.total}
                  perPage={PER_PAGE}
                  what={(total) => `${formatCount(total)} runs`}
                  onChange={(page) => void navigate({ search: { ...search, page } })}
                />
              </>
            )
          }
        </Answer>
      </Panel>
    </Page>
  );
}
