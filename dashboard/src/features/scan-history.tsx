import { Link } from "@tanstack/react-router";
import { formatCount, formatMoment, NOTHING } from "@/format";
import { Badge } from "@/ui/badge";
import { type Column, Table } from "@/ui/table";
import type { Scan } from "./scans";

/** Every scan leads to its picture on the same page. */
export function ScanHistory({ scans, shown }: { scans: Scan[]; shown: Scan | undefined }) {
  return <Table caption="scans" columns={columns(shown)} rows={scans} keyOf={(scan) => scan.ids.join(" ")} />;
}

const columns = (shown: Scan | undefined): Column<Scan>[] => [
  {
    title: "When",
    cell: (scan) => (
      <>
        <Link
          to="/heatmap"
          search={{ scan: scan.ids[0] }}
          className="whitespace-nowrap text-accent underline"
        >
          {formatMoment(scan.scannedAt)}
        </Link>{" "}
        {scan === shown && <Badge tone="busy">shown</Badge>}
      </>
    ),
  },
  { title: "Types", cell: typesOf },
  { title: "For", cell: (scan) => <Reason scan={scan} /> },
  { title: "Stones", cell: (scan) => formatCount(scan.total), numeric: true },
  { title: "API calls", cell: (scan) => formatCount(scan.apiCalls), numeric: true },
];

const typesOf = ({ ranges }: Scan) =>
  [
    ranges.some(({ labGrown }) => !labGrown) && "natural",
    ranges.some(({ labGrown }) => labGrown) && "lab-grown",
  ]
    .filter((type) => type !== false)
    .join(", ") || NOTHING;

function Reason({ scan }: { scan: Scan }) {
  if (scan.runId === null) return "a person";
  return (
    <Link to="/runs/$runId" params={{ runId: scan.runId }} className="text-accent underline">
      a run
    </Link>
  );
}
