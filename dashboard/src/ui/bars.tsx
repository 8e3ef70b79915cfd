interface Props {
  bars: { label: string; count: number }[];
  note: (count: number, total: number) => string;
  /** What a full bar stands for, where the bars are not all there is; else all of them together. */
  full?: number;
}

/** Parts of a whole; the numbers stand beside them, so the bars are for the eye alone. */
export function Bars({ bars, note, full }: Props) {
  const total = bars.reduce((sum, { count }) => sum + count, 0);
  const whole = full ?? total;
  return (
    <dl className="grid grid-cols-[1fr_auto] gap-x-2">
      {bars.map(({ label, count }) => (
        <div key={label} className="contents">
          <dt>{label}</dt>
          <dd className="text-right text-muted">{note(count, total)}</dd>
          <dd aria-hidden className="col-span-2 mt-1 mb-3 h-2 overflow-hidden rounded bg-raised">
            <div
              className="h-full rounded bg-accent"
              style={{ width: `${whole && (100 * count) / whole}%` }}
            />
          </dd>
        </div>
      ))}
    </dl>
  );
}
