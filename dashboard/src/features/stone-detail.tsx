import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Diamond, PriceExplanation } from "@/api/generated";
import { diamondQuery, explanationQuery, meQuery, rawAnswerQuery } from "@/api/queries";
import { formatCents, formatMoment, NOTHING } from "@/format";
import { Answer } from "@/ui/answer";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Facts } from "@/ui/facts";
import { Panel } from "@/ui/panel";
import { Payload } from "@/ui/payload";
import { Table } from "@/ui/table";
import { AvailabilityBadge, Picture } from "./diamond-card";

/** All that this key may know of a stone: on its page, and beside the list. */
export function StoneDetail({ id }: { id: string }) {
  const diamond = useQuery(diamondQuery(id));
  const permissions = useQuery(meQuery).data?.permissions ?? [];
  return (
    <div className="@container flex flex-col gap-4">
      <Answer of={diamond} rows={8}>
        {(data) => (
          <>
            <div className="grid gap-4 @3xl:grid-cols-[20rem_1fr]">
              <div className="grid max-w-56 @3xl:max-w-none @3xl:self-start">
                <Picture diamond={data} />
              </div>
              <Panel title="The stone" aside={<AvailabilityBadge availability={data.availability} />}>
                <StoneFacts diamond={data} />
              </Panel>
            </div>
            {permissions.includes("cost") && <Explanation id={id} />}
            {permissions.includes("admin") && <RawAnswer id={id} />}
          </>
        )}
      </Answer>
    </div>
  );
}

function StoneFacts({ diamond }: { diamond: Diamond }) {
  const facts: [string, React.ReactNode][] = [
    ["Price", formatCents(diamond.priceModelPriceCents)],
    ["Cost", formatCents(diamond.feedPriceCents)],
    ["Type", diamond.labGrown ? "lab-grown" : "natural"],
    ["Cut", diamond.cut],
    ["Polish", diamond.polish],
    ["Symmetry", diamond.symmetry],
    ["Fluorescence", diamond.fluorescence],
    ["Rating", diamond.rating],
    ["Table", diamond.tablePercent === null ? null : `${diamond.tablePercent} %`],
    ["Depth", diamond.depthPercent === null ? null : `${diamond.depthPercent} %`],
    ["Length to width", diamond.ratio],
    ["Certificate", <Certificate key="certificate" diamond={diamond} />],
    ["Vendor", diamond.supplierName],
    ["Supplier's id", diamond.supplierStoneId],
    ["Last seen", formatMoment(diamond.lastSeenAt)],
  ];
  return <Facts facts={facts} />;
}

function Certificate({ diamond }: { diamond: Diamond }) {
  const words = `${diamond.certificateLab ?? ""} ${diamond.certificateNumber ?? ""}`.trim() || NOTHING;
  if (diamond.certificatePdfUrl === null) return words;
  return (
    <a href={diamond.certificatePdfUrl} target="_blank" rel="noreferrer" className="text-accent underline">
      {words}
    </a>
  );
}

function Explanation({ id }: { id: string }) {
  const explanation = useQuery(explanationQuery(id));
  return (
    <Panel title="Why it costs what it costs">
      <Answer of={explanation}>{(data) => <Why explanation={data} />}</Answer>
    </Panel>
  );
}

function Why({ explanation }: { explanation: PriceExplanation }) {
  const { feedPriceCents, stored, now, rules } = explanation;
  const hasChanged = stored.priceModelPriceCents !== now.priceModelPriceCents;
  return (
    <>
      <p className="mb-3">
        {formatCents(feedPriceCents)} × {stored.markupRatio} = {formatCents(stored.priceModelPriceCents)}
        {hasChanged && `; by the rules as they are now it would be ${formatCents(now.priceModelPriceCents)}`}
      </p>
      <Table
        caption="Rules in the order in which they are tried"
        rows={rules}
        keyOf={(rule) => rule.id}
        columns={[
          { title: "Priority", cell: (rule) => rule.priority, numeric: true },
          { title: "Ratio", cell: (rule) => rule.markupRatio, numeric: true },
          { title: "Not met", cell: (rule) => rule.unmet.join(", ") || "nothing" },
          { title: "", cell: (rule) => rule.isDecisive && <Badge tone="good">decides</Badge> },
        ]}
      />
    </>
  );
}

/** Asked for only when somebody wants it: it is large, and few need it. */
function RawAnswer({ id }: { id: string }) {
  const [isWanted, setWanted] = useState(false);
  const raw = useQuery({ ...rawAnswerQuery(id), enabled: isWanted });
  return (
    <Panel title="What the supplier sent">
      {isWanted ? (
        <Answer of={raw}>
          {(data) =>
            data.payloadDroppedAt ? (
              <p>
                The stone has been gone for long: its payload was dropped at{" "}
                {formatMoment(data.payloadDroppedAt)}.
              </p>
            ) : (
              <Payload value={data.payload} path="$" />
            )
          }
        </Answer>
      ) : (
        <Button onClick={() => setWanted(true)}>Show it</Button>
      )}
    </Panel>
  );
}
