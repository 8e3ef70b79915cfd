import { formatDuration } from "@/format";

/** What a datetime field holds: minutes in the reader's zone. */
export function toFieldValue(iso: string): string {
  const moment = new Date(iso);
  const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

/** Undefined is what is no moment yet. */
export function fromFieldValue(value: string): string | undefined {
  const milliseconds = Date.parse(value);
  return Number.isNaN(milliseconds) ? undefined : new Date(milliseconds).toISOString();
}

export interface Move {
  /** Something is left unread. */
  isForward: boolean;
  consequence: string;
}

/** What follows when the watermark is set from one moment to another. */
export function moveOf(from: string, to: string | undefined, now: number): Move {
  if (to === undefined) return { isForward: false, consequence: "Choose a moment." };
  const milliseconds = Date.parse(to) - Date.parse(from);
  const distance = formatDuration(Math.abs(milliseconds));
  if (Date.parse(to) > now)
    return { isForward: true, consequence: "It is in the future and will be refused." };
  if (milliseconds === 0) return { isForward: false, consequence: "That is where it stands." };
  if (milliseconds > 0)
    return {
      isForward: true,
      consequence: `Forward by ${distance}: what changed in this window stays unread until the next full run.`,
    };
  return {
    isForward: false,
    consequence: `Back by ${distance}: the next incremental run reads this window again, which does no harm.`,
  };
}
