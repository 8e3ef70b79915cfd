import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { FoundDataItem } from "@/api/generated";
import type { TableName } from "@/api/queries";
import { formatMoment, NOTHING } from "@/format";
import { type Column, Table } from "@/ui/table";
import { headingOf, kindOf } from "./tables";

interface Row {
  index: number;
  values: FoundDataItem;
}

/** The rows of a question, with the columns that came. */
export function FoundTable({ table, rows }: { table: TableName; rows: FoundDataItem[] }) {
  const columns = Object.keys(rows[0] ?? {}).map(
    (name): Column<Row> => ({
      title: headingOf(name),
      cell: ({ values }) => <Value table={table} column={name} value={values[name]} />,
      numeric: kindOf(table, name) === "number",
    }),
  );
  return (
    <Table
      caption={`rows of ${table}`}
      columns={columns}
      rows={rows.map((values, index) => ({ index, values }))}
      keyOf={({ index }) => index}
    />
  );
}

interface ValueProps {
  table: TableName;
  column: string;
  value: unknown;
}

/** Numbers stay exact, as the API writes them. */
function Value({ table, column, value }: ValueProps): ReactNode {
  if (value === null || value === undefined) return NOTHING;
  if (typeof value === "boolean") return value ? "yes" : "no";
  const text = String(value);
  const kind = kindOf(table, column);
  if (kind === "moment") return <span className="whitespace-nowrap">{formatMoment(text)}</span>;
  if (kind !== "uuid") return text;
  const code = <code className="text-xs whitespace-nowrap">{text}</code>;
  if (column === "run_id")
    return (
      <Link to="/runs/$runId" params={{ runId: text }} className="text-accent underline">
        {code}
      </Link>
    );
  if (table === "diamonds" && column === "id")
    return (
      <Link to="/diamonds/$id" params={{ id: text }} className="text-accent underline">
        {code}
      </Link>
    );
  return code;
}
