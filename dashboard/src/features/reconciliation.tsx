import type { Difference } from "@/api/generated";
import { formatCount } from "@/format";
import { Empty } from "@/ui/notices";

/** From figure to figure, each difference with its reason. */
export function Reconciliation({ differences }: { differences: Difference[] }) {
  const first = differences[0];
  if (first === undefined) return <Empty title="There is nothing to compare yet." />;
  return (
    <dl className="flex flex-col divide-y divide-line">
      <Row name={nameOf(first.fromName)} value={first.fromValue} />
      {differences.map((each) => (
        <Row key={each.toName} name={nameOf(each.toName)} value={each.toValue} difference={each} />
      ))}
    </dl>
  );
}

const NAMES: Record<string, string> = {
  expected: "Expected, by the supplier's counts",
  fetched: "Fetched, once in each price range",
  distinct: "Distinct stones",
  changed: "New or changed",
  accepted: "Accepted into the catalogue",
};

const nameOf = (figure: string): string => NAMES[figure] ?? figure;

function Row({ name, value, difference }: { name: string; value: number; difference?: Difference }) {
  return (
    <div className="grid grid-cols-[1fr_auto] gap-x-4 py-2 first:pt-0 last:pb-0">
      <dt>{name}</dt>
      <dd className="text-right font-medium">
        {formatCount(value)}
        {difference !== undefined && (
          <span className="ml-2 inline-block min-w-16 font-normal text-muted">
            {difference.difference > 0 ? "+" : ""}
            {formatCount(difference.difference)}
          </span>
        )}
      </dd>
      {difference !== undefined && (
        <dd className="col-span-2 text-xs text-muted">{difference.explanation}</dd>
      )}
    </div>
  );
}
