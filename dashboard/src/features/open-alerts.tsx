import { Link } from "@tanstack/react-router";
import type { OpenAlerts as Open } from "@/api/generated";
import { formatDuration } from "@/format";
import { Badge, type Tone } from "@/ui/badge";
import { useNow } from "@/ui/use-now";
import { countsOf, SEVERITY_TONES } from "./alerts";

const BORDERS: Partial<Record<Tone, string>> = { bad: "border-bad", warn: "border-warn" };

/** What is wrong now, in one line above everything else; nothing while nothing is. */
export function OpenAlerts({ open }: { open: Open }) {
  const now = useNow();
  const { worst } = open;
  if (worst === null) return null;
  const border = BORDERS[SEVERITY_TONES[worst.severity]] ?? "border-line";
  return (
    <section
      aria-label="Open alerts"
      className={`flex flex-wrap items-center gap-x-3 gap-y-2 rounded-lg border bg-surface px-4 py-3 ${border}`}
    >
      <span className="flex flex-wrap gap-2">
        {countsOf(open).map(({ severity, count }) => (
          <Badge key={severity} tone={SEVERITY_TONES[severity]}>
            {count} {severity}
          </Badge>
        ))}
      </span>
      <p className="min-w-0 flex-1 basis-60 wrap-anywhere">
        <span className="font-semibold">{worst.title}</span>{" "}
        <span className="text-muted">for {formatDuration(Math.max(0, now - Date.parse(worst.since)))}</span>
      </p>
      <Link to="/alerts" search={{ state: "open" }} className="text-accent underline">
        What to do
      </Link>
    </section>
  );
}
