import { formatAge, formatCount, formatDuration, formatMoment, NOTHING } from "@/format";
import { Figure, FigureRow } from "@/ui/figure";
import { useNow } from "@/ui/use-now";
import type { Scan } from "./scans";

const KINDS: Record<Scan["kind"], string> = {
  preview: "A preview, not kept",
  scan: "Asked for by a person",
  run: "Made when a run was planned",
};

const CUTS: Record<Scan["kind"], string> = {
  preview: "at most 10 in a preview",
  scan: "as a full run would be cut now",
  run: "as the run was cut",
};

export function ScanFigures({ scan, partitions }: { scan: Scan; partitions: number | undefined }) {
  const now = useNow();
  const filled = scan.ranges.filter(({ count }) => count > 0).length;
  return (
    <FigureRow>
      <Figure
        label="Stones"
        note={`in ${formatCount(filled)} of ${formatCount(scan.ranges.length)} price ranges`}
      >
        {formatCount(scan.total)}
      </Figure>
      <Figure label="API calls" note="counts asked of the supplier">
        {formatCount(scan.apiCalls)}
      </Figure>
      <Figure label="Partitions" note={partitions === undefined ? "not kept with a scan" : CUTS[scan.kind]}>
        {partitions === undefined ? NOTHING : formatCount(partitions)}
      </Figure>
      <Figure label="Duration" note={scan.durationMs === null ? "not kept with a scan" : "of the counting"}>
        {formatDuration(scan.durationMs)}
      </Figure>
      <Figure label={KINDS[scan.kind]} note={formatMoment(scan.scannedAt)}>
        {formatAge(scan.scannedAt, now)}
      </Figure>
    </FigureRow>
  );
}
