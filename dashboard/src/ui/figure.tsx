import type { ReactNode } from "react";

interface Props {
  label: string;
  children: ReactNode;
  /** What the figure means, or how old it is. */
  note?: ReactNode;
}

/** One number with its name; several stand in a FigureRow. */
export function Figure({ label, children, note }: Props) {
  return (
    <div className="min-w-0 rounded-lg border border-line bg-surface px-4 py-3">
      <dt className="text-muted">{label}</dt>
      <dd className="mt-0.5 text-xl font-semibold break-words">{children}</dd>
      {note !== undefined && <dd className="mt-0.5 text-xs text-muted">{note}</dd>}
    </div>
  );
}

export function FigureRow({ children }: { children: ReactNode }) {
  return (
    <dl className="grid grid-cols-2 gap-3 md:grid-cols-[repeat(auto-fit,minmax(11rem,1fr))]">{children}</dl>
  );
}
