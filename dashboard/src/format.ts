/** How values read on screen: always with their unit, times in the reader's zone with the zone's name. */

const whole = new Intl.NumberFormat("en-US");
const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const dollars = new Intl.NumberFormat("en-US", {
  style: "currency",
  currency: "USD",
  maximumFractionDigits: 0,
});
const instant = new Intl.DateTimeFormat("en-GB", {
  year: "numeric",
  month: "short",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZoneName: "short",
});

export const NOTHING = "—";

export const formatCount = (count: number): string => whole.format(count);

/** "3 stones", "1 stone". */
export const formatStones = (count: number): string => counted(count, "stone");

export const counted = (count: number, noun: string): string =>
  `${whole.format(count)} ${noun}${count === 1 ? "" : "s"}`;

/** Money travels as whole US cents; what a key may not see is left out. */
export const formatCents = (cents: number | null | undefined): string =>
  typeof cents === "number" ? money.format(cents / 100) : NOTHING;

export const formatDollars = (amount: number): string => dollars.format(amount);

/** The supplier's ranges are whole dollars; without an upper end they are open. */
export const formatRange = (from: number, to: number | null): string =>
  to === null ? `from ${formatDollars(from)}` : `${formatDollars(from)} to ${formatDollars(to)}`;

/** As file sizes are told: 1 MB is a million bytes. */
export const formatBytes = (bytes: number): string =>
  bytes < 1e6 ? `${whole.format(Math.ceil(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

export const formatMoment = (iso: string | null): string =>
  iso === null ? NOTHING : instant.format(new Date(iso));

export function formatDuration(milliseconds: number | null): string {
  if (milliseconds === null) return NOTHING;
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1_000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export const formatAge = (iso: string | null, now: number): string =>
  iso === null ? "never" : `${formatDuration(Math.max(0, now - Date.parse(iso)))} ago`;

export const formatPercent = (part: number, total: number): string =>
  total === 0 ? NOTHING : `${((100 * part) / total).toFixed(part === total ? 0 : 1)} %`;
