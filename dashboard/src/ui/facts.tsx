import type { ReactNode } from "react";
import { NOTHING } from "@/format";

/** Names with what is known of each; what is not known is said to be nothing. */
export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-6 gap-y-1">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-muted">{name}</dt>
          <dd className="min-w-0 break-words">{value ?? NOTHING}</dd>
        </div>
      ))}
    </dl>
  );
}
