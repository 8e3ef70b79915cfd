import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import { readPage, readText } from "@/address";
import type { Act } from "@/api/generated";
import { auditLogQuery } from "@/api/queries";
import { formatMoment } from "@/format";
import { Button } from "@/ui/button";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import { ShowOnly } from "@/ui/show-only";
import type { Column } from "@/ui/table";

const FILTERS = ["actor", "action", "subject"] as const;
type Filter = (typeof FILTERS)[number];
type Search = { [Name in Filter]?: string } & { page?: number };

export const Route = createFileRoute("/_signed-in/audit-log")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    actor: readText(search.actor),
    action: readText(search.action),
    subject: readText(search.subject),
    page: readPage(search.page),
  }),
  component: AuditLog,
});

function AuditLog() {
  const search = Route.useSearch();
  const navigate = Route.useNavigate();
  const acts = useQuery(auditLogQuery({ ...search, limit: PER_PAGE }));
  const filter = (change: Search) => void navigate({ search: { ...search, page: undefined, ...change } });
  const chosen = FILTERS.filter((name) => search[name] !== undefined);
  return (
    <Page title="Audit log">
      {chosen.length > 0 && (
        <div className="flex flex-wrap gap-2">
          {chosen.map((name) => (
            <Button key={name} onClick={() => filter({ [name]: undefined })}>
              {name}: {search[name]} ✕
            </Button>
          ))}
        </div>
      )}
      <Panel title="Every change that a person made, the newest first">
        <PagedList
          of={acts}
          noun="change"
          columns={columns(filter)}
          keyOf={(act) => act.id}
          page={search.page ?? 1}
          onPage={(page) => void navigate({ search: { ...search, page } })}
          empty={
            chosen.length === 0 ? (
              <Empty title="Nobody has changed anything yet." />
            ) : (
              <Empty title="No change is like that.">
                <Button onClick={() => void navigate({ search: {} })}>Show all changes</Button>
              </Empty>
            )
          }
        />
      </Panel>
    </Page>
  );
}

const columns = (onFilter: (change: Search) => void): Column<Act>[] => [
  { title: "When", cell: (act) => formatMoment(act.createdAt) },
  ...FILTERS.map((name) => ({
    title: { actor: "Who", action: "What", subject: "Of what" }[name],
    cell: (act: Act) => <ShowOnly value={act[name]} onChoose={() => onFilter({ [name]: act[name] })} />,
  })),
  {
    title: "Details",
    cell: (act) => (
      <code className="inline-block min-w-60 text-xs wrap-anywhere text-muted">
        {JSON.stringify(act.details)}
      </code>
    ),
  },
];
