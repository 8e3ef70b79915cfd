import type { Attempt } from "@/api/generated";
import { formatCount, formatMoment } from "@/format";
import { LongText } from "@/ui/long-text";
import { Empty } from "@/ui/notices";
import { Table } from "@/ui/table";

export function AttemptTable({ attempts }: { attempts: Attempt[] }) {
  if (attempts.length === 0) return <Empty title="No attempt failed." />;
  return (
    <Table
      caption="Attempts that failed"
      keyOf={(attempt) => attempt.id}
      rows={attempts.toReversed()}
      columns={[
        { title: "Ended", cell: (attempt) => formatMoment(attempt.completedAt) },
        { title: "Partition", cell: (attempt) => <code>{attempt.partitionId}</code> },
        { title: "Attempt", cell: (attempt) => formatCount(attempt.attempt), numeric: true },
        { title: "Stones", cell: (attempt) => formatCount(attempt.recordsProcessed), numeric: true },
        {
          title: "Why",
          cell: (attempt) => attempt.errorMessage !== null && <LongText text={attempt.errorMessage} />,
        },
      ]}
    />
  );
}
