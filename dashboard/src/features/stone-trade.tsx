import { useState } from "react";
import { createHold, type Diamond, endHold, purchaseDiamond } from "@/api/generated";
import { useThenRefresh } from "@/api/use-then-refresh";
import { formatCents, formatMoment } from "@/format";
import { Confirm } from "@/ui/confirm";
import { titleOf } from "./diamond-card";
import { tradeOf } from "./trade-steps";

/** What this key may do about a stone, and why no more: it may be held by this key, or by another. */
export function StoneTrade({ diamond }: { diamond: Diamond }) {
  const then = useThenRefresh(["diamond", diamond.id]);
  const { hold, buy, end, told } = tradeOf(diamond);
  const name = titleOf(diamond);
  const price = formatCents(diamond.priceModelPriceCents);
  return (
    <div className="flex flex-wrap items-center gap-2">
      {told !== undefined && <span className="text-muted">{told(formatMoment)}</span>}
      {end && (
        <Confirm
          action="End hold"
          title={`End your hold of ${name}?`}
          done={`Your hold of ${name} is ended.`}
          onConfirm={then(() => endHold(diamond.id))}
        >
          At the supplier and here. Anybody may hold or buy the stone then.
        </Confirm>
      )}
      {hold && (
        <Confirm
          action="Hold"
          title={`Hold ${name}?`}
          done={`${name} is held for you.`}
          onConfirm={then(() => createHold(diamond.id))}
        >
          It sells for {price}. The supplier keeps it for you, usually for 24 hours; nobody else can buy it
          meanwhile.
        </Confirm>
      )}
      {buy && <Buy diamond={diamond} />}
    </div>
  );
}

function Buy({ diamond }: { diamond: Diamond }) {
  const then = useThenRefresh(["diamond", diamond.id]);
  // One key for one purchase: pressed twice, or sent again after a lost answer, it buys once.
  const [idempotencyKey] = useState(() => crypto.randomUUID());
  return (
    <Confirm
      action="Buy"
      look="primary"
      title={`Buy ${titleOf(diamond)}?`}
      done={`${titleOf(diamond)} is ordered.`}
      onConfirm={then(() => purchaseDiamond(diamond.id, { idempotencyKey }))}
    >
      It is ordered from the supplier
      {typeof diamond.feedPriceCents === "number" && ` for about ${formatCents(diamond.feedPriceCents)}`}, at
      the price of this moment. This cannot be taken back here.
    </Confirm>
  );
}
