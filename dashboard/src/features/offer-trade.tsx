import { Link } from "@tanstack/react-router";
import { useState } from "react";
import {
  cancelHold,
  type Hold,
  type HoldStatus,
  holdOffer,
  type LiveOffer,
  type Order,
  orderOffer,
} from "@/api/generated";
import { useThenRefresh } from "@/api/use-then-refresh";
import { formatCents, formatMoment } from "@/format";
import { Confirm } from "@/ui/confirm";
import { Field } from "@/ui/field";
import { titleOfOffer } from "./offer-search";
import { TradeBadge } from "./trade-tones";

interface Props {
  offer: LiveOffer;
  /** The supplier shall be asked what it shows now. */
  onChanged: () => void;
}

/** The supplier's answer was lost, or is waited for: the hold binds the stone or not. */
const UNDECIDED = new Set<HoldStatus>(["sending", "unknown", "releasing"]);

/** What was done here is told by the API's answer; what the supplier shows may come later. */
export function OfferTrade({ offer, onChanged }: Props) {
  const [hold, setHold] = useState<Hold>();
  const [order, setOrder] = useState<Order>();
  const then = useThenRefresh(["holds"], ["orders"]);
  const { availability, holdId: feedHoldId } = offer.diamond;
  const holdId = hold === undefined ? feedHoldId : hold.status === "active" ? hold.id : null;
  const isUndecided = hold !== undefined && UNDECIDED.has(hold.status);
  const isFree = availability === "available" && holdId === null && !isUndecided;
  const title = titleOfOffer(offer);
  const keepHold = async (asked: ReturnType<typeof holdOffer>) => {
    setHold((await asked).data);
    onChanged();
  };
  return (
    <>
      <div role="status" className="flex flex-col gap-1">
        {hold !== undefined && <HoldNote hold={hold} />}
        {order !== undefined && <OrderNote order={order} />}
      </div>
      {order === undefined && (
        <div className="flex flex-wrap gap-2">
          {holdId !== null && (
            <Confirm
              action="End hold"
              look="danger"
              title={`End the hold of ${title}?`}
              onConfirm={then(() => keepHold(cancelHold({ holdId })))}
            >
              At the supplier and here. Anybody may hold or buy the stone then.
            </Confirm>
          )}
          {isFree && (
            <Confirm
              action="Hold"
              title={`Hold ${title}?`}
              onConfirm={then(() => keepHold(holdOffer({ offerId: offer.offerId })))}
            >
              The supplier keeps it for you, usually for 24 hours; nobody else can buy it meanwhile. It costs{" "}
              {formatCents(offer.priceCents)} now.
            </Confirm>
          )}
          {(isFree || holdId !== null) && (
            <OrderOffer
              offer={offer}
              onOrdered={(made) => {
                setOrder(made);
                onChanged();
              }}
            />
          )}
        </div>
      )}
    </>
  );
}

interface OrderProps {
  offer: LiveOffer;
  onOrdered: (order: Order) => void;
}

function OrderOffer({ offer, onOrdered }: OrderProps) {
  // One key for one purchase: pressed twice, or sent again after a lost answer, it buys once.
  const [idempotencyKey] = useState(() => crypto.randomUUID());
  const [reference, setReference] = useState("");
  const [destinationId, setDestinationId] = useState("");
  const { offerId, priceCents } = offer;
  const order = useThenRefresh(
    ["holds"],
    ["orders"],
  )(async () => {
    const answer = await orderOffer({
      offerId,
      idempotencyKey,
      maxPriceCents: priceCents,
      reference: reference || null,
      destinationId: destinationId || null,
    });
    onOrdered(answer.data);
  });
  return (
    <Confirm
      action="Order"
      look="primary"
      title={`Order ${titleOfOffer(offer)}${priceCents === null ? "" : ` for ${formatCents(priceCents)}`}?`}
      onConfirm={order}
    >
      <div className="flex flex-col gap-3">
        <p>
          {priceCents === null
            ? "It is ordered at the price of this moment; the supplier showed none."
            : `The supplier is asked once more, and nothing is ordered if it wants more than ${formatCents(priceCents)}.`}{" "}
          This cannot be taken back here.
        </p>
        <Field label="Your order number, if any" value={reference} onChange={setReference} />
        <Field
          label="Where it goes, if not to the usual address: the supplier's destination id"
          value={destinationId}
          onChange={setDestinationId}
        />
      </div>
    </Confirm>
  );
}

function HoldNote({ hold }: { hold: Hold }) {
  return (
    <p className="flex flex-wrap items-center gap-2">
      Hold <TradeBadge status={hold.status} />
      {hold.status === "active" && `until ${formatMoment(hold.until)}`}
      <Link to="/holds" className="text-accent underline">
        All holds
      </Link>
    </p>
  );
}

function OrderNote({ order }: { order: Order }) {
  return (
    <p className="flex flex-wrap items-center gap-2">
      Order <TradeBadge status={order.status} /> <code className="text-xs break-all">{order.id}</code>
      <Link to="/orders" className="text-accent underline">
        All orders
      </Link>
    </p>
  );
}
