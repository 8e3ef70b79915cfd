import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Choice } from "@/ui/choice";
import { PagedList } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import type { Column } from "@/ui/table";

interface Props<Row, Status extends string> {
  title: string;
  noun: string;
  statuses: readonly Status[];
  search: { status?: Status; page?: number };
  onSearch: (search: { status?: Status; page?: number }) => void;
  of: UseQueryResult<{ data: Row[]; pagination: { total: number } }, Error>;
  columns: Column<Row>[];
  empty: ReactNode;
}

/** The page of all orders, and that of all holds. */
export function TradeList<Row extends { id: string }, Status extends string>(props: Props<Row, Status>) {
  const { title, noun, statuses, search, onSearch, of, columns, empty } = props;
  return (
    <Page title={title}>
      <Choice
        label="Status"
        options={statuses}
        value={search.status}
        onChange={(status) => onSearch({ status })}
      />
      <Panel title="Those of which nobody knows first, then the newest">
        <PagedList
          of={of}
          noun={noun}
          columns={columns}
          keyOf={(row) => row.id}
          page={search.page ?? 1}
          onPage={(page) => onSearch({ ...search, page })}
          empty={empty}
        />
      </Panel>
    </Page>
  );
}
