import type { AlertDelivery, AlertAnswerSeverity as AlertSeverity, OpenAlerts } from "@/api/generated";
import { counted } from "@/format";
import type { Tone } from "@/ui/badge";

/** The worst first. */
const SEVERITIES = ["critical", "error", "warning", "info"] as const satisfies AlertSeverity[];

export const SEVERITY_TONES: Record<AlertSeverity, Tone> = {
  critical: "bad",
  error: "bad",
  warning: "warn",
  info: "quiet",
};

/** What became of a message to a channel, as people say it, and how it looks. */
export const DELIVERY_STATES: Record<AlertDelivery["state"], { words: string; tone: Tone }> = {
  abandoned: { words: "given up", tone: "bad" },
  unknown: { words: "perhaps delivered", tone: "warn" },
  pending: { words: "not yet delivered", tone: "busy" },
  sending: { words: "being sent", tone: "busy" },
  delivered: { words: "delivered", tone: "good" },
};

/** How many are open of each severity that there is. */
export const countsOf = (open: OpenAlerts): { severity: AlertSeverity; count: number }[] =>
  SEVERITIES.map((severity) => ({ severity, count: open[severity] })).filter(({ count }) => count > 0);

/** "3 messages: 1 given up, 2 delivered"; what failed comes first. */
export function tellDeliveries(deliveries: AlertDelivery[]): string {
  if (deliveries.length === 0) return "Nobody was told";
  const told = Object.entries(DELIVERY_STATES).map(([state, { words }]) => ({
    words,
    count: deliveries.filter((delivery) => delivery.state === state).length,
  }));
  const parts = told.filter(({ count }) => count > 0).map(({ count, words }) => `${count} ${words}`);
  return `${counted(deliveries.length, "message")}: ${parts.join(", ")}`;
}
