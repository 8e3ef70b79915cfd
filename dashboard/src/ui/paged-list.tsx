import type { ComponentProps, Key } from "react";
import { Pages } from "./pages";
import { type Column, Table } from "./table";

export const PER_PAGE = 25;

interface Props<Row> extends Omit<ComponentProps<typeof Pages<Row>>, "perPage" | "children"> {
  columns: Column<Row>[];
  keyOf: (row: Row) => Key;
}

export function PagedList<Row>({ columns, keyOf, ...rest }: Props<Row>) {
  return (
    <Pages perPage={PER_PAGE} {...rest}>
      {(rows) => <Table caption={`${rest.noun}s`} columns={columns} rows={rows} keyOf={keyOf} />}
    </Pages>
  );
}
