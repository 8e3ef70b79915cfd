import type { ReactNode } from "react";

interface Props {
  title: string;
  /** What stands at the right of the title: a link, a button, a figure. */
  aside?: ReactNode;
  children: ReactNode;
}

export function Panel({ title, aside, children }: Props) {
  return (
    <section className="min-w-0 rounded-lg border border-line bg-surface">
      <header className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2.5">
        <h2 className="font-semibold">{title}</h2>
        {aside}
      </header>
      <div className="p-4">{children}</div>
    </section>
  );
}

export function Page({ title, aside, children }: Props) {
  return (
    <div className="flex w-full flex-col gap-4 p-4 md:p-6">
      <title>{`${title} · Diamond Opus`}</title>
      <header className="flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-xl font-semibold">{title}</h1>
        {aside}
      </header>
      {children}
    </div>
  );
}
