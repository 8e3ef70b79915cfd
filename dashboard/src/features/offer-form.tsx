import type { FormEvent } from "react";
import { Button } from "@/ui/button";
import { Check, Checks } from "@/ui/checks";
import { Field } from "@/ui/field";
import { Select } from "@/ui/select";
import { useDraft } from "@/ui/use-draft";
import { toggled } from "./diamond-search";
import { problemOf } from "./field-problem";
import { draftOf, type OfferDraft, type OfferSearch, RANGES, readOfferSearch, SHAPES } from "./offer-search";

const TYPES = ["natural", "lab-grown"] as const;

const LABELS: Record<(typeof RANGES)[number], string> = {
  priceMin: "Cost from, whole US $",
  priceMax: "Cost to, whole US $",
  caratMin: "Carats from",
  caratMax: "Carats to",
};

interface Props {
  search: OfferSearch;
  isBusy: boolean;
  /** Why the last question was refused. */
  error: Error | null;
  onSearch: (search: OfferSearch) => void;
  onCount: (search: OfferSearch) => void;
}

export function OfferForm({ search, isBusy, error, onSearch, onCount }: Props) {
  const [draft, setDraft] = useDraft(draftOf(search));
  const change = (part: Partial<OfferDraft>) => setDraft({ ...draft, ...part });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSearch(readOfferSearch({ ...draft }));
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <div className="grid grid-cols-2 gap-3 md:grid-cols-4">
        {RANGES.map((name) => (
          <Field
            key={name}
            label={LABELS[name]}
            type="number"
            step={name.startsWith("carat") ? "any" : undefined}
            value={draft[name]}
            onChange={(text) => change({ [name]: text })}
            problem={problemOf(error, name, LABELS)}
          />
        ))}
      </div>
      <Checks
        label="Shapes; none chosen means any"
        options={SHAPES}
        chosen={draft.shapes}
        onToggle={(shape) => change({ shapes: toggled(draft.shapes, shape) ?? [] })}
      />
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <Select
          label="Type"
          options={TYPES}
          value={draft.labGrown ? "lab-grown" : "natural"}
          onChange={(type) => change({ labGrown: type === "lab-grown" })}
        />
        <Check
          label="With a picture"
          checked={draft.hasImage}
          onChange={(hasImage) => change({ hasImage })}
        />
        <Check label="With a video" checked={draft.hasVideo} onChange={(hasVideo) => change({ hasVideo })} />
      </div>
      <div className="flex flex-wrap items-center gap-2">
        <Button type="submit" look="primary" disabled={isBusy}>
          Search
        </Button>
        <Button disabled={isBusy} onClick={() => onCount(readOfferSearch({ ...draft }))}>
          Count
        </Button>
        <p className="text-muted">
          Asks the supplier now, out of the request budget that the runs share: 2 requests for each page of a
          search, 1 to count.
        </p>
      </div>
    </form>
  );
}
