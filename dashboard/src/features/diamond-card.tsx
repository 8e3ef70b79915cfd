import { Link } from "@tanstack/react-router";
import { type MouseEvent, type ReactNode, useState } from "react";
import type { Diamond } from "@/api/generated";
import { formatCents } from "@/format";
import { Badge, type Tone } from "@/ui/badge";
import { isWide } from "@/ui/is-wide";

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

interface StoneLinkProps {
  id: string;
  /** Shows it beside the list, where there is room. */
  onOpen: (id: string) => void;
  isOpen: boolean;
  className: string;
  children: ReactNode;
}

/** Leads to the stone's page: on a narrow screen, and in a tab of its own. */
export function StoneLink({ id, onOpen, isOpen, className, children }: StoneLinkProps) {
  const open = (event: MouseEvent) => {
    if (!isWide() || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    onOpen(id);
  };
  return (
    <Link
      to="/diamonds/$id"
      params={{ id }}
      onClick={open}
      aria-current={isOpen ? "true" : undefined}
      className={className}
    >
      {children}
    </Link>
  );
}

interface CardProps extends Pick<StoneLinkProps, "onOpen" | "isOpen"> {
  diamond: Diamond;
}

export function DiamondCard({ diamond, ...link }: CardProps) {
  return (
    <StoneLink
      id={diamond.id}
      {...link}
      className="flex min-w-0 flex-col gap-2 rounded-lg border border-line bg-surface p-3 hover:border-accent aria-[current=true]:border-accent"
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
    </StoneLink>
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
