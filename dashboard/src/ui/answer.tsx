import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { isUnreachable } from "@/api/call";
import { Failed, Loading } from "./notices";

interface Props<Data> {
  of: UseQueryResult<Data, Error>;
  rows?: number;
  children: (data: Data) => ReactNode;
}

/**
 * What was asked for, or why it is not there; an answer stays on screen while a newer one fails. That the API does not
 * answer is said once, above the page.
 */
export function Answer<Data>({ of: query, rows, children }: Props<Data>) {
  const failed = query.error !== null && !isUnreachable(query.error) && (
    <Failed error={query.error} onRetry={() => void query.refetch()} />
  );
  if (query.data !== undefined) {
    return (
      <>
        {failed}
        {children(query.data)}
      </>
    );
  }
  if (query.error === null) return <Loading rows={rows} />;
  return failed || <p className="text-muted">Not known until the API answers.</p>;
}
