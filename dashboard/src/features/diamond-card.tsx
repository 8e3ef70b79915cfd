import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Diamond } from "@/api/generated";
import { formatCents } from "@/format";
import { Badge, type Tone } from "@/ui/badge";

const TONES: Record<Diamond["availability"], Tone> = {
  available: "good",
  on_hold: "warn",
  sold: "quiet",
  unavailable: "quiet",
};

export function AvailabilityBadge({ availability }: Pick<Diamond, "availability">) {
  return <Badge tone={TONES[availability]}>{availability.replace("_", " ")}</Badge>;
}

export const titleOf = ({ carats, shape, color, clarity }: Diamond): string =>
  [`${carats.toFixed(2)} ct`, shape, color, clarity].filter((each) => each !== null).join(" ");

export function DiamondCard({ diamond }: { diamond: Diamond }) {
  return (
    <Link
      to="/diamonds/$id"
      params={{ id: diamond.id }}
      className="flex min-w-0 flex-col gap-2 rounded-lg border border-line bg-surface p-3 hover:border-accent"
    >
      <Picture diamond={diamond} />
      <span className="font-medium">{titleOf(diamond)}</span>
      <span className="flex flex-wrap items-center justify-between gap-2">
        <span className="text-base font-semibold">{formatCents(diamond.priceModelPriceCents)}</span>
        <AvailabilityBadge availability={diamond.availability} />
      </span>
      <span className="text-xs text-muted">
        {diamond.labGrown ? "lab-grown" : "natural"}
        {diamond.certificateLab !== null && `, ${diamond.certificateLab} ${diamond.certificateNumber ?? ""}`}
      </span>
    </Link>
  );
}

/** The supplier's picture; its server may be out of reach, and many stones have none. */
export function Picture({ diamond }: { diamond: Diamond }) {
  const [isBroken, setBroken] = useState(false);
  if (diamond.imageUrl === null || isBroken)
    return (
      <span className="flex aspect-square items-center justify-center rounded bg-raised">
        <img src="/diamond.svg" alt="" className="size-1/3 opacity-30" />
      </span>
    );
  return (
    <img
      src={diamond.imageUrl}
      alt=""
      loading="lazy"
      onError={() => setBroken(true)}
      className="aspect-square rounded bg-raised object-contain"
    />
  );
}
