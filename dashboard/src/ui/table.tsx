import type { CSSProperties, HTMLAttributes, Key, ReactNode } from "react";

export interface Column<Row> {
  title: string;
  cell: (row: Row) => ReactNode;
  /** Numbers stand at the right, so that their digits can be compared. */
  numeric?: boolean;
}

interface Props<Row> {
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  keyOf: (row: Row) => Key;
  /** What else a row has: what it does when it is dragged. */
  rowProps?: (row: Row) => HTMLAttributes<HTMLTableRowElement>;
}

export function Table<Row>({ caption, columns, rows, keyOf, rowProps = () => ({}) }: Props<Row>) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it with the keyboard
    <section aria-label={caption} tabIndex={0} className="scroll-shadow -mx-4 overflow-x-auto px-4">
      <table
        // Narrower, a phone would break words apart rather than scroll.
        style={{ "--least": `${columns.length * 6.5}rem` } as CSSProperties}
        className="w-full border-collapse text-left max-sm:min-w-(--least)"
      >
        <caption className="sr-only">{caption}</caption>
        <thead>
          <tr className="border-b border-line text-xs text-muted">
            {columns.map(({ title, numeric }) => (
              <th key={title} scope="col" className={`px-2 py-2 font-medium ${numeric ? "text-right" : ""}`}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const { className = "", ...rest } = rowProps(row);
            return (
              <tr
                key={keyOf(row)}
                className={`border-b border-line last:border-0 hover:bg-raised ${className}`}
                {...rest}
              >
                {columns.map(({ title, cell, numeric }) => (
                  <td
                    key={title}
                    className={`px-2 py-2 align-top ${numeric ? "text-right whitespace-nowrap" : ""}`}
                  >
                    {cell(row)}
                  </td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
