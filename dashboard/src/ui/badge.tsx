import type { ReactNode } from "react";
import type { RunSummary } from "@/api/generated";

const TONES = {
  good: "bg-good-ground text-good",
  warn: "bg-warn-ground text-warn",
  bad: "bg-bad-ground text-bad",
  busy: "bg-busy-ground text-busy",
  quiet: "bg-raised text-muted",
} as const;

export type Tone = keyof typeof TONES;

export function Badge({ tone, children }: { tone: Tone; children: ReactNode }) {
  return (
    <span className={`inline-block rounded px-2 py-0.5 text-xs font-medium whitespace-nowrap ${TONES[tone]}`}>
      {children}
    </span>
  );
}

/** What the states of runs and of their partitions look like everywhere. */
const STATES: Record<string, Tone> = {
  planned: "quiet",
  pending: "quiet",
  ingesting: "busy",
  running: "busy",
  ingested: "busy",
  consolidating: "busy",
  completed: "good",
  partial: "warn",
  cancelled: "quiet",
  failed: "bad",
};

export const toneOf = (state: string): Tone => STATES[state] ?? "quiet";

export function StateBadge({ state }: { state: string }) {
  return <Badge tone={toneOf(state)}>{state}</Badge>;
}

/** A run that left something out says so rather than where it stands. */
export function RunBadge({ run: { state, status } }: { run: Pick<RunSummary, "state" | "status"> }) {
  return <StateBadge state={status === "partial" ? status : state} />;
}
