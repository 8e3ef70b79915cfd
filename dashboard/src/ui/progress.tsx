/** How much of a whole is done, for the eye alone: the numbers stand beside it. */
export function Progress({ percent }: { percent: number }) {
  return (
    <div aria-hidden className="h-2 overflow-hidden rounded bg-raised">
      <div className="h-full rounded bg-accent" style={{ width: `${percent}%` }} />
    </div>
  );
}
