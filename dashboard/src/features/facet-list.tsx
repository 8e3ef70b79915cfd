import { formatCount } from "@/format";
import { withKeptCounts, wordsOf } from "./facet-counts";

interface Props {
  label: string;
  counts: { value: string | boolean | null; count: number }[];
  chosen: string[];
  onToggle: (value: string) => void;
}

/** Values with how many stones each has, as if nothing were chosen here; what is chosen stays, though none has it. */
export function FacetList({ label, counts, chosen, onToggle }: Props) {
  const present = counts.flatMap(({ value, count }) =>
    value === null ? [] : { value: String(value), count },
  );
  const known = withKeptCounts(present, chosen);
  if (known.length === 0) return null;
  return (
    <details open={chosen.length > 0 || label === "Shape" || label === "Type"}>
      <summary className="font-medium">{label}</summary>
      <ul className="mt-1 flex max-h-52 flex-col overflow-y-auto">
        {known.map(({ value, count }) => (
          <li key={value}>
            <label className="flex items-center gap-2 rounded px-1 py-0.5 hover:bg-raised">
              <input
                type="checkbox"
                checked={chosen.includes(value)}
                onChange={() => onToggle(value)}
                className="size-4"
              />
              <span className="flex-1">{wordsOf(value)}</span>
              <span className="text-muted">{formatCount(count)}</span>
            </label>
          </li>
        ))}
      </ul>
    </details>
  );
}
