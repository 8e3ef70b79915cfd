import type { UseQueryResult } from "@tanstack/react-query";
import type { Key, ReactNode } from "react";
import { counted } from "@/format";
import { Answer } from "./answer";
import { Pages } from "./pages";
import { type Column, Table } from "./table";

export const PER_PAGE = 25;

interface Props<Row> {
  of: UseQueryResult<{ data: Row[]; pagination: { total: number } }, Error>;
  /** What a row is: "order". */
  noun: string;
  columns: Column<Row>[];
  keyOf: (row: Row) => Key;
  page: number;
  onPage: (page: number) => void;
  /** Instead of a table without rows. */
  empty: ReactNode;
  /** What leads back and forth, where it is not from the newest to the oldest. */
  words?: [string, string];
}

export function PagedList<Row>(props: Props<Row>) {
  const { of: query, noun, columns, keyOf, page, onPage, empty, words } = props;
  return (
    <Answer of={query}>
      {({ data, pagination }) =>
        data.length === 0 && page === 1 ? (
          empty
        ) : (
          <>
            <Table caption={`${noun}s`} columns={columns} rows={data} keyOf={keyOf} />
            <Pages
              page={page}
              total={pagination.total}
              perPage={PER_PAGE}
              what={(total) => counted(total, noun)}
              onChange={onPage}
              words={words}
            />
          </>
        )
      }
    </Answer>
  );
}
