import { formatCount } from "@/format";

interface Props {
  label: string;
  counts: { value: string | boolean | null; count: number }[];
  chosen: string[];
  onToggle: (value: string) => void;
}

const WORDS: Record<string, string> = { true: "Lab-grown", false: "Natural" };

/** Values with how many stones each has, as if nothing were chosen here. */
export function FacetList({ label, counts, chosen, onToggle }: Props) {
  const known = counts.filter(({ value }) => value !== null);
  if (known.length === 0) return null;
  return (
    <details open={chosen.length > 0 || label === "Shape" || label === "Type"}>
      <summary className="font-medium">{label}</summary>
      <ul className="mt-1 flex max-h-52 flex-col overflow-y-auto">
        {known.map(({ value, count }) => (
          <li key={String(value)}>
            <label className="flex items-center gap-2 rounded px-1 py-0.5 hover:bg-raised">
              <input
                type="checkbox"
                checked={chosen.includes(String(value))}
                onChange={() => onToggle(String(value))}
                className="size-4"
              />
              <span className="flex-1">{WORDS[String(value)] ?? value}</span>
              <span className="text-muted">{formatCount(count)}</span>
            </label>
          </li>
        ))}
      </ul>
    </details>
  );
}
