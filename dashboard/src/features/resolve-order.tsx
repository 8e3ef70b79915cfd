import { useState } from "react";
import { type OrderOfClient, resolveUnknownOrder } from "@/api/generated";
import { useThenRefresh } from "@/api/use-then-refresh";
import { Choice } from "@/ui/choice";
import { Confirm } from "@/ui/confirm";
import { Field } from "@/ui/field";

const OUTCOMES = ["ordered", "confirmed", "refused"] as const;

/** The word of a person about an order whose answer was lost, or that the vendor has decided about. */
export function ResolveOrder({ order }: { order: OrderOfClient }) {
  const [outcome, setOutcome] = useState<(typeof OUTCOMES)[number]>();
  const [feedOrderId, setFeedOrderId] = useState("");
  const [note, setNote] = useState("");
  const resolve = useThenRefresh(["orders"])(async () => {
    if (outcome === undefined) throw new Error("Choose what became of it.");
    await resolveUnknownOrder({ orderId: order.id, outcome, note, feedOrderId: feedOrderId || null });
  });
  return (
    <Confirm
      action="Settle"
      look={order.status === "unknown" ? "primary" : "plain"}
      title="What became of this order?"
      onConfirm={resolve}
    >
      <div className="flex flex-col gap-3">
        <p>
          It is never sent again by itself. Ask the supplier first: “refused” gives the stone free, “ordered”
          and “confirmed” keep it blocked.
        </p>
        <Choice label="Outcome" options={OUTCOMES} value={outcome} onChange={setOutcome} />
        <Field label="The supplier's order id, if known" value={feedOrderId} onChange={setFeedOrderId} />
        <Field label="How you know; kept in the audit log" value={note} onChange={setNote} required />
      </div>
    </Confirm>
  );
}
