import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Failed, Loading } from "./notices";

interface Props<Data> {
  of: UseQueryResult<Data, Error>;
  rows?: number;
  children: (data: Data) => ReactNode;
}

/** What was asked for, or why it is not there; an answer stays on screen while a newer one fails. */
export function Answer<Data>({ of: query, rows, children }: Props<Data>) {
  if (query.data === undefined) {
    if (query.error !== null) return <Failed error={query.error} onRetry={() => void query.refetch()} />;
    return <Loading rows={rows} />;
  }
  return (
    <>
      {query.error !== null && <Failed error={query.error} onRetry={() => void query.refetch()} />}
      {children(query.data)}
    </>
  );
}
