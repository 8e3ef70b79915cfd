import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { type LiveOffer, readOffer } from "@/api/generated";
import { meQuery, type OfferList } from "@/api/queries";
import { formatCents, formatMoment } from "@/format";
import { Button } from "@/ui/button";
import { Facts } from "@/ui/facts";
import { CloseModal, Modal } from "@/ui/modal";
import { Failed } from "@/ui/notices";
import { AvailabilityBadge } from "./diamond-card";
import { formatDiscount, titleOfOffer, withOffer } from "./offer-search";
import { OfferTrade } from "./offer-trade";

/** One offer of a list that was found: all that the supplier said, and what can be done with it. */
export function OfferDialog({ offer, foundAt }: { offer: LiveOffer; foundAt: string }) {
  const title = titleOfOffer(offer);
  return (
    <Modal
      trigger={
        <button type="button" className="text-left text-accent underline">
          {title}
        </button>
      }
      title={title}
      wide
    >
      <OfferContent offer={offer} foundAt={foundAt} />
      <CloseModal render={<Button className="self-end" />}>Close</CloseModal>
    </Modal>
  );
}

function OfferContent({ offer, foundAt }: { offer: LiveOffer; foundAt: string }) {
  const permissions = useQuery(meQuery).data?.permissions ?? [];
  const queryClient = useQueryClient();
  const look = useMutation({
    mutationFn: () => readOffer(encodeURIComponent(offer.offerId)),
    onSuccess: ({ data }) =>
      queryClient.setQueriesData<OfferList>(
        { queryKey: ["offers"] },
        (list) => list && withOffer(list, data),
      ),
  });
  const seenAt = look.isSuccess ? new Date(look.submittedAt).toISOString() : foundAt;
  return (
    <>
      <div className="flex flex-wrap items-center justify-between gap-2">
        <span className="text-muted" role="status">
          As the supplier showed it at {formatMoment(seenAt)}
        </span>
        <Button disabled={look.isPending} onClick={() => look.mutate()}>
          Ask again (1 request)
        </Button>
      </div>
      {look.error !== null && <Failed error={look.error} />}
      <Facts facts={factsOf(offer)} />
      {permissions.includes("admin") && <OfferTrade offer={offer} onChanged={() => look.mutate()} />}
    </>
  );
}

function factsOf({ offerId, priceCents, discount, diamond }: LiveOffer): [string, ReactNode][] {
  const { certificate, supplier } = diamond;
  return [
    ["Cost", formatCents(priceCents)],
    ["Discount", formatDiscount(discount)],
    ["Availability", <AvailabilityBadge key="availability" availability={diamond.availability} />],
    ["In its own word", diamond.rawAvailability],
    ["Type", typeOf(certificate?.labGrown)],
    ["Certificate", certificateOf({ diamond })],
    ["Cut", certificate?.cut],
    ["Polish", certificate?.polish],
    ["Symmetry", certificate?.symmetry],
    ["Fluorescence", certificate?.fluorescence],
    ["Picture", <Media key="picture" address={diamond.image} />],
    ["Video", <Media key="video" address={diamond.video} />],
    ["Vendor", supplier?.name],
    ["Vendor's id", supplier?.id],
    ["Offer id", <Id key="offer" value={offerId} />],
    ["Stone's id", <Id key="stone" value={diamond.id} />],
    ["Stock id", diamond.stockId],
    ["Vendor's stock id", diamond.supplierStockId],
    ["Our hold", diamond.holdId],
    ["Our order", diamond.orderItemId],
  ];
}

function typeOf(labGrown: boolean | null | undefined): string | null {
  if (typeof labGrown !== "boolean") return null;
  return labGrown ? "lab-grown" : "natural";
}

export const certificateOf = ({ diamond: { certificate } }: Pick<LiveOffer, "diamond">): string | null =>
  [certificate?.lab, certificate?.number].filter(Boolean).join(" ") || null;

const Id = ({ value }: { value: string }) => <code className="text-xs break-all">{value}</code>;

/** The supplier's word is a link only where it leads to a web page. */
function Media({ address }: { address: string | null }) {
  if (address === null || !/^https?:/.test(address)) return address ?? "none";
  return (
    <a href={address} target="_blank" rel="noreferrer" className="text-accent underline">
      Open
    </a>
  );
}
