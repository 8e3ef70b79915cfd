import { type Partition, type RunSummary, retryWorkers } from "@/api/generated";
import { useThenRefresh } from "@/api/use-then-refresh";
import { counted, formatCount, formatMoment, formatRange, NOTHING } from "@/format";
import { StateBadge } from "@/ui/badge";
import { Confirm } from "@/ui/confirm";
import { LongText } from "@/ui/long-text";
import { Empty } from "@/ui/notices";
import { type Column, Table } from "@/ui/table";

const describe = ({ kind, labGrown, priceFrom, priceTo }: Partition) =>
  `${labGrown ? "lab-grown" : "natural"}, ${kind === "catch_up" ? "what moved meanwhile" : formatRange(priceFrom, priceTo)}`;

/** Those that need a person first, then those at work. */
const ORDER = ["failed", "running", "pending", "completed"];

export function PartitionTable({ run, partitions }: { run: RunSummary; partitions: Partition[] }) {
  if (partitions.length === 0) return <Empty title="This run has no partitions." />;
  const rows = partitions.toSorted((one, other) => ORDER.indexOf(one.state) - ORDER.indexOf(other.state));
  const columns: Column<Partition>[] = [
    { title: "Partition", cell: (each) => <code className="whitespace-nowrap">{each.partitionId}</code> },
    { title: "Stones of", cell: describe },
    { title: "State", cell: (each) => <StateBadge state={each.state} /> },
    { title: "Expected", cell: (each) => formatCount(each.expectedRecords), numeric: true },
    { title: "Fetched", cell: (each) => formatCount(each.fetchedRecords), numeric: true },
    { title: "Distinct", cell: (each) => formatCount(each.distinctRecords), numeric: true },
    { title: "Attempts", cell: (each) => formatCount(each.attempts), numeric: true },
    { title: "What was noticed", cell: (each) => <Noticed partition={each} /> },
    {
      title: "What to do",
      cell: (each) => (each.state === "failed" ? <RetryOne run={run} partition={each} /> : NOTHING),
    },
  ];
  return <Table caption="Partitions" columns={columns} rows={rows} keyOf={(each) => each.partitionId} />;
}

function Noticed({ partition }: { partition: Partition }) {
  const { lastError, nextAttemptAt, notes, countDisputed, state } = partition;
  const isWaiting = state === "pending" && nextAttemptAt !== null;
  if (lastError === null && notes.length === 0 && !countDisputed) return NOTHING;
  return (
    <ul className="flex max-w-xl flex-col gap-1">
      {lastError !== null && (
        <li className={state === "completed" ? "text-muted" : "text-bad"}>
          <LongText text={lastError} />
        </li>
      )}
      {isWaiting && <li>Tried again by itself at {formatMoment(nextAttemptAt)}</li>}
      {countDisputed && <li>The supplier's count and its pages do not agree</li>}
      {notes.map((note) => (
        <li key={note} className="text-muted">
          {note}
        </li>
      ))}
    </ul>
  );
}

function RetryOne({ run, partition }: { run: RunSummary; partition: Partition }) {
  const retry = useThenRefresh(["run", run.runId])(() =>
    retryWorkers({ runId: run.runId, partitionId: partition.partitionId }),
  );
  return (
    <Confirm action="Retry" title={`Retry ${partition.partitionId}?`} onConfirm={retry}>
      It goes on where it was: {formatCount(partition.fetchedRecords)} of{" "}
      {counted(partition.expectedRecords, "stone")} are there, after {counted(partition.attempts, "attempt")}.
    </Confirm>
  );
}
