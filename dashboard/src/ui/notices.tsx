import type { ReactNode } from "react";
import { ApiError, mayBeBetterSoon } from "@/api/call";
import { Button } from "./button";

/** Grey bars where something will stand: the page keeps its shape while it is asked for. */
export function Loading({ rows = 4 }: { rows?: number }) {
  return (
    <div role="status" aria-label="Loading" className="flex animate-pulse flex-col gap-2">
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: bars have nothing else to be told apart by
        <div key={row} className="h-6 rounded bg-raised" />
      ))}
    </div>
  );
}

interface EmptyProps {
  title: string;
  /** What to do next. */
  children?: ReactNode;
}

export function Empty({ title, children }: EmptyProps) {
  return (
    <div className="flex flex-col items-center gap-2 px-4 py-8 text-center">
      <p className="font-medium">{title}</p>
      {children !== undefined && <div className="text-muted">{children}</div>}
    </div>
  );
}

export function Failed({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  const refusal = error instanceof ApiError ? error : null;
  return (
    <div role="alert" className="rounded-md border border-bad bg-bad-ground px-4 py-3 text-bad">
      <p className="font-medium break-words">
        {refusal?.status === 403 ? "This key may not see this: " : ""}
        {error.message}
      </p>
      {refusal?.hint !== undefined && <p className="mt-1">{refusal.hint}</p>}
      {refusal?.traceId !== undefined && <p className="mt-1 text-xs">Trace id {refusal.traceId}</p>}
      {onRetry !== undefined && (refusal === null || mayBeBetterSoon(refusal)) && (
        <Button className="mt-2" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}
