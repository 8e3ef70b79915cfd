interface Props {
  bars: { label: string; count: number }[];
  note: (count: number, total: number) => string;
}

/** Parts of a whole; the numbers stand beside them, so the bars are for the eye alone. */
export function Bars({ bars, note }: Props) {
  const total = bars.reduce((sum, { count }) => sum + count, 0);
  return (
    <dl className="grid grid-cols-[1fr_auto] gap-x-2">
      {bars.map(({ label, count }) => (
        <div key={label} className="contents">
          <dt>{label}</dt>
          <dd className="text-right text-muted">{note(count, total)}</dd>
          <dd aria-hidden className="col-span-2 mt-1 mb-3 h-2 overflow-hidden rounded bg-raised">
            <div
              className="h-full rounded bg-accent"
              style={{ width: `${total && (100 * count) / total}%` }}
            />
          </dd>
        </div>
      ))}
    </dl>
  );
}
