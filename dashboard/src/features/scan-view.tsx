import { useQuery } from "@tanstack/react-query";
import type { DensityRange, ScannedPartition } from "@/api/generated";
import { runQuery } from "@/api/queries";
import { counted, formatCount, formatPercent, formatRange } from "@/format";
import { Answer } from "@/ui/answer";
import { Empty } from "@/ui/notices";
import { Panel } from "@/ui/panel";
import { type Column, Table } from "@/ui/table";
import { DensityPlot } from "./density-plot";
import { ScanFigures } from "./scan-figures";
import { cutsOf, type Scan } from "./scans";

/** A scan with the borders of its partitions: those of an answer, or of the run that it was made for. */
export function ScanView({ scan }: { scan: Scan }) {
  const run = useQuery({ ...runQuery(scan.runId ?? ""), enabled: scan.runId !== null });
  const cuts = scan.partitions ?? (scan.runId !== null && run.data ? cutsOf(run.data.partitions) : undefined);
  return (
    <>
      <ScanFigures scan={scan} partitions={cuts?.length} />
      <Panel title="How many stones ask which price">
        <DensityPlot ranges={scan.ranges} partitions={cuts ?? []} />
      </Panel>
      <Panel title="Partitions">
        {scan.partitions === null && scan.runId !== null ? (
          <Answer of={run}>{(detail) => <CutTable cuts={cutsOf(detail.partitions)} />}</Answer>
        ) : (
          <CutTable cuts={scan.partitions} />
        )}
      </Panel>
      <Panel title="What was counted">
        <details>
          <summary className="cursor-pointer text-accent underline">
            {counted(scan.ranges.length, "price range")}
          </summary>
          <Table caption="Price ranges" columns={RANGES} rows={scan.ranges} keyOf={keyOfRange} />
        </details>
      </Panel>
    </>
  );
}

function CutTable({ cuts }: { cuts: ScannedPartition[] | null }) {
  if (cuts === null)
    return (
      <Empty title="No partitions are kept with this scan.">
        Preview or scan again to see how a run would be cut now.
      </Empty>
    );
  if (cuts.length === 0) return <Empty title="There was nothing to cut.">The inventory was empty.</Empty>;
  const total = cuts.reduce((sum, { totalRecords }) => sum + totalRecords, 0);
  return (
    <Table caption="Partitions" columns={cutColumns(total)} rows={cuts} keyOf={(each) => each.partitionId} />
  );
}

const typeOf = ({ labGrown }: { labGrown: boolean }) => (labGrown ? "lab-grown" : "natural");

const priceOf = ({ minPrice, maxPrice }: { minPrice: number; maxPrice: number | null }) =>
  formatRange(minPrice, maxPrice);

const keyOfRange = (range: DensityRange) => `${range.labGrown} ${range.minPrice}`;

const cutColumns = (total: number): Column<ScannedPartition>[] => [
  { title: "Partition", cell: (each) => <code className="whitespace-nowrap">{each.partitionId}</code> },
  { title: "Type", cell: typeOf },
  { title: "Price", cell: priceOf, numeric: true },
  { title: "Expected stones", cell: (each) => formatCount(each.totalRecords), numeric: true },
  { title: "Share", cell: (each) => formatPercent(each.totalRecords, total), numeric: true },
];

const RANGES: Column<DensityRange>[] = [
  { title: "Type", cell: typeOf },
  { title: "Price", cell: priceOf, numeric: true },
  { title: "Stones", cell: (range) => formatCount(range.count), numeric: true },
];
