import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import { readPage, readText } from "@/address";
import { deleteErrorLogs, type ErrorLog } from "@/api/generated";
import { errorLogsQuery, errorServicesQuery, POLL_MILLISECONDS } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { counted, formatMoment } from "@/format";
import { Button } from "@/ui/button";
import { Choice } from "@/ui/choice";
import { Confirm } from "@/ui/confirm";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import type { Column } from "@/ui/table";

interface Search {
  service?: string;
  page?: number;
}

export const Route = createFileRoute("/_signed-in/error-logs")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    service: readText(search.service),
    page: readPage(search.page),
  }),
  component: ErrorLogs,
});

function ErrorLogs() {
  const { service, page } = Route.useSearch();
  const navigate = Route.useNavigate();
  const services = useQuery(errorServicesQuery);
  const errors = useQuery({
    ...errorLogsQuery({ service, page, limit: PER_PAGE }),
    refetchInterval: POLL_MILLISECONDS,
  });
  const total = errors.data?.pagination.total ?? 0;
  return (
    <Page title="Error logs" aside={total > 0 && <Clear service={service} total={total} />}>
      <Choice
        label="Service"
        options={services.data ?? (service === undefined ? [] : [service])}
        value={service}
        onChange={(chosen) => void navigate({ search: { service: chosen } })}
      />
      <Panel title="The newest first">
        <PagedList
          of={errors}
          noun="error"
          columns={COLUMNS}
          keyOf={(error) => error.id}
          page={page ?? 1}
          onPage={(next) => void navigate({ search: { service, page: next } })}
          empty={
            service === undefined ? (
              <Empty title="No error has been logged." />
            ) : (
              <Empty title={`No error of ${service} has been logged.`}>
                <Button onClick={() => void navigate({ search: {} })}>Show all errors</Button>
              </Empty>
            )
          }
        />
      </Panel>
    </Page>
  );
}

const COLUMNS: Column<ErrorLog>[] = [
  { title: "When", cell: (error) => formatMoment(error.createdAt) },
  { title: "Service", cell: (error) => error.service },
  { title: "Error", cell: (error) => <ErrorText error={error} /> },
];

function ErrorText({ error }: { error: ErrorLog }) {
  const { context, stackTrace } = error;
  if (context === null && stackTrace === null) return error.errorMessage;
  return (
    <details>
      <summary className="cursor-pointer break-words">{error.errorMessage}</summary>
      <pre className="mt-2 max-h-96 overflow-auto rounded-md bg-raised p-3 text-xs whitespace-pre-wrap">
        {context !== null && `${JSON.stringify(context, null, 2)}\n`}
        {stackTrace}
      </pre>
    </details>
  );
}

function Clear({ service, total }: { service: string | undefined; total: number }) {
  const clear = useThenRefresh(["error-logs"], ["summary"])(() => deleteErrorLogs({ service }));
  return (
    <Confirm action="Clear" look="danger" title={`Delete ${counted(total, "error")}?`} onConfirm={clear}>
      {service === undefined ? "Of every service." : `Of ${service}.`} They cannot be brought back; that they
      were deleted is kept in the audit log.
    </Confirm>
  );
}
