import { Button } from "./button";

interface Props {
  page: number;
  total: number;
  perPage: number;
  what: (total: number) => string;
  onChange: (page: number) => void;
  /** What leads back and forth; most lists go from the newest to the oldest. */
  words?: [string, string];
}

export function Pages({ page, total, perPage, what, onChange, words = ["Newer", "Older"] }: Props) {
  const last = Math.max(1, Math.ceil(total / perPage));
  return (
    <nav aria-label="Pages of the list" className="mt-3 flex flex-wrap items-center justify-between gap-2">
      <span className="text-muted">{what(total)}</span>
      {last > 1 && (
        <span className="flex items-center gap-2">
          <Button disabled={page <= 1} onClick={() => onChange(page - 1)}>
            {words[0]}
          </Button>
          <span>
            {page} of {last}
          </span>
          <Button disabled={page >= last} onClick={() => onChange(page + 1)}>
            {words[1]}
          </Button>
        </span>
      )}
    </nav>
  );
}
