import { Link } from "@tanstack/react-router";
import type { HoldOfClient, OrderOfClient } from "@/api/generated";
import { NOTHING } from "@/format";

/** Whose it is, as people say it, and the id by which lists are filtered. */
export function ClientName({ of: { client, clientName } }: { of: HoldOfClient | OrderOfClient }) {
  if (clientName === null) return <code className="text-xs break-all">{client ?? NOTHING}</code>;
  return <span title={client ?? undefined}>{clientName}</span>;
}

/** To the stone's page, where it has one. */
export function StoneLink({ of: { diamondId, offerId } }: { of: HoldOfClient | OrderOfClient }) {
  if (diamondId === null) return <code className="text-xs break-all">{offerId}</code>;
  return (
    <Link to="/diamonds/$id" params={{ id: diamondId }} className="block min-w-40 text-accent underline">
      <code className="text-xs break-all">{diamondId}</code>
    </Link>
  );
}
