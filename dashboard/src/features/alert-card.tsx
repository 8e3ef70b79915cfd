import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { AlertAnswer, AlertDelivery } from "@/api/generated";
import { counted, formatAge, formatCount, formatMoment, formatStones, NOTHING } from "@/format";
import { Badge } from "@/ui/badge";
import { Facts } from "@/ui/facts";
import { LongText } from "@/ui/long-text";
import { Panel } from "@/ui/panel";
import { Payload } from "@/ui/payload";
import { ShowOnly } from "@/ui/show-only";
import { type Column, Table } from "@/ui/table";
import { useNow } from "@/ui/use-now";
import { DELIVERY_STATES, SEVERITY_TONES, tellDeliveries } from "./alerts";
import { labelOf } from "./pages-for";
import { ResolveAlert } from "./resolve-alert";

/** Our own words are shorter; what a supplier answered must not stand before what to do. */
const MOST_OF_TEXT = 300;

interface Props {
  alert: AlertAnswer;
  onEvent: (event: string) => void;
}

/** All that a person needs of one alert: what is wrong, since when, why, what to do, and who knows. */
export function AlertCard({ alert, onEvent }: Props) {
  const isOpen = alert.resolvedAt === null;
  return (
    <Panel
      title={alert.title}
      aside={
        <span className="flex flex-wrap items-center gap-2">
          {!isOpen && <Badge tone="quiet">over</Badge>}
          <Badge tone={isOpen ? SEVERITY_TONES[alert.severity] : "quiet"}>{alert.severity}</Badge>
          {isOpen && <ResolveAlert alert={alert} />}
        </span>
      }
    >
      <div className="flex flex-col gap-3">
        <LongText text={alert.text} most={MOST_OF_TEXT} />
        <AlertFacts alert={alert} onEvent={onEvent} />
        <Deliveries deliveries={alert.deliveries} />
        <More alert={alert} />
      </div>
    </Panel>
  );
}

function AlertFacts({ alert, onEvent }: Props) {
  const now = useNow();
  const { event, since, stones, resolvedAt, resolution } = alert;
  const facts: [string, ReactNode][] = [
    ["Since", `${formatMoment(since)}, ${formatAge(since, now)}`],
    ["Over", resolvedAt && `${formatMoment(resolvedAt)}: ${resolution}`],
    ["Concerned", stones && formatStones(stones)],
    ["Likely cause", alert.cause],
    ["What to do", alert.action],
    ["Where", pageLink(alert.page)],
    ["Kind", <ShowOnly key="kind" value={event} onChoose={() => onEvent(event)} />],
  ];
  return <Facts facts={known(facts)} />;
}

function More({ alert }: { alert: AlertAnswer }) {
  const { occurrences, subject, facts } = alert;
  const more: [string, ReactNode][] = [
    ["Noticed", formatMoment(alert.openedAt)],
    ["Seen", `${counted(occurrences, "time")}, last ${formatMoment(alert.lastSeenAt)}`],
    ["Not seen since", alert.clearedAt && formatMoment(alert.clearedAt)],
    ["About", subject && <code className="text-xs">{subject}</code>],
    [
      "In the runbook",
      <code key="runbook" className="text-xs">
        {alert.runbook}
      </code>,
    ],
  ];
  return (
    <details>
      <summary className="cursor-pointer">What else is known</summary>
      <div className="mt-2 flex flex-col gap-2">
        <Facts facts={known(more)} />
        {Object.keys(facts).length > 0 && <Payload value={facts} path="$" />}
      </div>
    </details>
  );
}

/** What nobody knows is left out. */
const known = (facts: [string, ReactNode][]) => facts.filter(([, value]) => value);

function pageLink(page: string | null): ReactNode {
  const label = page && labelOf(page);
  if (!label) return null;
  return (
    <Link to={page} className="text-accent underline">
      {label}
    </Link>
  );
}

function Deliveries({ deliveries }: { deliveries: AlertDelivery[] }) {
  const told = tellDeliveries(deliveries);
  if (deliveries.length === 0) return <p className="text-muted">{told}</p>;
  return (
    <details>
      <summary className="cursor-pointer">{told}</summary>
      <Table
        caption="messages"
        columns={COLUMNS}
        rows={deliveries}
        keyOf={({ channel, kind, toldAs }) => `${channel}/${kind}/${toldAs}`}
      />
    </details>
  );
}

const COLUMNS: Column<AlertDelivery>[] = [
  { title: "Channel", cell: ({ channel }) => channel },
  { title: "Tells of", cell: ({ kind }) => (kind === "opened" ? "the beginning" : "the end") },
  {
    title: "State",
    cell: ({ state }) => <Badge tone={DELIVERY_STATES[state].tone}>{DELIVERY_STATES[state].words}</Badge>,
  },
  { title: "When", cell: ({ settledAt }) => formatMoment(settledAt) },
  { title: "Attempts", cell: ({ attempts }) => formatCount(attempts), numeric: true },
  { title: "What failed", cell: ({ lastError }) => <LongText text={lastError ?? NOTHING} /> },
];
