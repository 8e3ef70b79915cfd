import type { HoldStatus, OrderStatus } from "@/api/generated";
import { Badge, type Tone } from "@/ui/badge";

const TONES: Record<OrderStatus | HoldStatus, Tone> = {
  unknown: "bad",
  sending: "busy",
  ordered: "busy",
  confirmed: "good",
  active: "good",
  refused: "warn",
  denied: "warn",
  failed: "quiet",
  returned: "quiet",
  releasing: "busy",
  expired: "quiet",
  released: "quiet",
};

export function TradeBadge({ status }: { status: OrderStatus | HoldStatus }) {
  return <Badge tone={TONES[status]}>{status}</Badge>;
}
