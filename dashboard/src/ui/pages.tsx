import type { UseQueryResult } from "@tanstack/react-query";
import { type ReactNode, useRef } from "react";
import { ApiError } from "@/api/call";
import { counted } from "@/format";
import { Answer } from "./answer";
import { Button } from "./button";
import { Empty } from "./notices";

interface Props<Row> {
  of: UseQueryResult<{ data: Row[]; pagination: { total: number } }, Error>;
  /** What a row is: "order". */
  noun: string;
  page: number;
  perPage: number;
  /** How many pages can be asked for by number, where that is not all of them. */
  mostPages?: number;
  onPage: (page: number) => void;
  /** Instead of a list that has nothing at all. */
  empty: ReactNode;
  /** What leads back and forth; most lists go from the newest to the oldest. */
  words?: [string, string];
  /** How many grey bars stand for the list. */
  bars?: number;
  children: (rows: Row[]) => ReactNode;
}

/** One page of a list, and what leads to the others; the next is read from its top. */
export function Pages<Row>(props: Props<Row>) {
  const { of: query, noun, page, perPage, mostPages = Number.POSITIVE_INFINITY, onPage, empty } = props;
  const { words = ["Newer", "Older"], bars, children } = props;
  const list = useRef<HTMLDivElement>(null);
  const turn = (next: number) => {
    onPage(next);
    list.current?.focus({ preventScroll: true });
    list.current?.scrollIntoView();
  };
  return (
    <div ref={list} tabIndex={-1} className="flex scroll-mt-4 flex-col gap-3 outline-none">
      {page > 1 && isPageRefused(query.error) ? (
        <NoSuchPage title={`There is no page ${page}.`} action="To the first page" onGo={() => turn(1)} />
      ) : (
        <Answer of={query} rows={bars}>
          {({ data, pagination: { total } }) => {
            const last = Math.min(mostPages, Math.max(1, Math.ceil(total / perPage)));
            if (total === 0) return empty;
            if (data.length === 0) {
              const title = `There ${last === 1 ? "is" : "are"} only ${counted(last, "page")}.`;
              return <NoSuchPage title={title} action="To the last page" onGo={() => turn(last)} />;
            }
            return (
              <>
                {children(data)}
                <Turner page={page} last={last} what={counted(total, noun)} words={words} onTurn={turn} />
              </>
            );
          }}
        </Answer>
      )}
    </div>
  );
}

interface TurnerProps {
  page: number;
  last: number;
  what: string;
  words: [string, string];
  onTurn: (page: number) => void;
}

function Turner({ page, last, what, words: [back, on], onTurn }: TurnerProps) {
  return (
    <nav aria-label="Pages of the list" className="flex flex-wrap items-center justify-between gap-2">
      <span className="text-muted">{what}</span>
      {last > 1 && (
        <span className="flex items-center gap-2">
          <Button disabled={page <= 1} onClick={() => onTurn(page - 1)}>
            {back}
          </Button>
          <span>
            {page} of {last}
          </span>
          <Button disabled={page >= last} onClick={() => onTurn(page + 1)}>
            {on}
          </Button>
        </span>
      )}
    </nav>
  );
}

/** The API goes only so deep by the number of a page, or by how many rows are left out before it. */
const isPageRefused = (error: Error | null): boolean =>
  error instanceof ApiError && error.problems.some(({ parameter }) => ["page", "offset"].includes(parameter));

interface NoSuchPageProps {
  title: string;
  action: string;
  onGo: () => void;
}

function NoSuchPage({ title, action, onGo }: NoSuchPageProps) {
  return (
    <Empty title={title}>
      <Button onClick={onGo}>{action}</Button>
    </Empty>
  );
}
