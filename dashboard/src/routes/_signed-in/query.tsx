import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import type { FoundDataItem } from "@/api/generated";
import { foundQuery } from "@/api/queries";
import { toCsv } from "@/csv";
import { FoundTable } from "@/features/found-table";
import { bodyOf, limitOf, type Question, readQuestion } from "@/features/question";
import { QuestionForm } from "@/features/question-form";
import { Button } from "@/ui/button";
import { Empty } from "@/ui/notices";
import { Pages } from "@/ui/pages";
import { Page, Panel } from "@/ui/panel";
import { saveFile } from "@/ui/save-file";

export const Route = createFileRoute("/_signed-in/query")({
  validateSearch: readQuestion,
  component: QueryBuilder,
});

function QueryBuilder() {
  const search = Route.useSearch();
  const navigate = Route.useNavigate();
  const { table, page = 1, ...rest } = search;
  return (
    <Page title="Query builder">
      <Panel title="The question">
        <QuestionForm search={search} onAsk={(next) => void navigate({ search: next, resetScroll: false })} />
      </Panel>
      {table === undefined ? (
        <Panel title="Rows">
          <Empty title="Nothing has been asked yet.">Choose a table and press Ask.</Empty>
        </Panel>
      ) : (
        <Rows
          question={{ table, ...rest }}
          page={page}
          onPage={(next) => void navigate({ search: { ...search, page: next }, resetScroll: false })}
        />
      )}
    </Page>
  );
}

interface Props {
  question: Question;
  page: number;
  onPage: (page: number) => void;
}

function Rows({ question, page, onPage }: Props) {
  const { table } = question;
  const found = useQuery(foundQuery(table, bodyOf(question, page)));
  const rows = found.data?.data ?? [];
  return (
    <Panel
      title={`Rows of ${table}`}
      aside={rows.length > 0 && <Button onClick={() => saveRows(table, rows)}>Download these as CSV</Button>}
    >
      <Pages
        of={found}
        noun="row"
        page={page}
        perPage={limitOf(question)}
        onPage={onPage}
        empty={<Empty title="No row meets all of these.">Take one filter away.</Empty>}
        words={["Previous", "Next"]}
        bars={8}
      >
        {(found) => <FoundTable table={table} rows={found} />}
      </Pages>
    </Panel>
  );
}

function saveRows(name: string, rows: FoundDataItem[]) {
  const csv = toCsv(Object.keys(rows[0] ?? {}), rows);
  saveFile(new Blob([csv], { type: "text/csv" }), `${name}.csv`);
}
