import type { Quality } from "@/api/generated";
import { formatCount, formatStones } from "@/format";
import { Badge, type Tone } from "@/ui/badge";
import { Empty } from "@/ui/notices";

interface Line {
  kind: string;
  tone: Tone;
  reason: string;
  jsonPath: string;
  count: number;
  examples: string[];
}

/** What could not be sold, or not be read, or was left out, and where in the supplier's answer it stood. */
export function QualityReport({ report }: { report: Quality }) {
  const lines: Line[] = [
    ...report.rejections.map((each) => ({
      ...each,
      kind: "rejected",
      tone: "bad" as const,
      count: each.stones,
    })),
    ...report.unreadable.map((each) => ({
      ...each,
      kind: "unreadable",
      tone: "bad" as const,
      count: each.stones,
    })),
    ...report.warnings.map((each) => ({
      ...each,
      kind: "field left out",
      tone: "warn" as const,
      count: each.occurrences,
    })),
  ];
  if (lines.length === 0)
    return (
      <Empty
        title={
          report.distinctRecords === 0
            ? "Nothing was read."
            : `All of ${formatStones(report.distinctRecords)} could be read.`
        }
      />
    );
  return (
    <ul className="flex flex-col divide-y divide-line">
      {lines.map((line) => (
        <li key={`${line.kind} ${line.jsonPath} ${line.reason}`} className="py-2 first:pt-0 last:pb-0">
          <div className="flex items-start gap-3">
            <Badge tone={line.tone}>{line.kind}</Badge>
            <span className="min-w-0 flex-1 break-words">{line.reason}</span>
            <span className="font-medium">{formatCount(line.count)}</span>
          </div>
          <p className="mt-1 text-xs break-all text-muted">
            <code>{line.jsonPath}</code>, for example <code>{line.examples[0] ?? "unknown"}</code>
          </p>
        </li>
      ))}
    </ul>
  );
}
