import type { FocusEvent, FormEvent } from "react";
import { readAmount } from "@/address";
import { Field } from "./field";
import { useDraft } from "./use-draft";

interface Props {
  label: string;
  unit: string;
  min: number | undefined;
  max: number | undefined;
  onChange: (min: number | undefined, max: number | undefined) => void;
}

/** The least and the most of something, typed; sent by Enter, or when the two are left. */
export function Bounds({ label, unit, min, max, onChange }: Props) {
  const [draft, setDraft] = useDraft({ min: textOf(min), max: textOf(max) });
  const send = (event: FormEvent) => {
    event.preventDefault();
    const [low, high] = inOrder(readAmount(draft.min), readAmount(draft.max));
    if (low !== min || high !== max) onChange(low, high);
  };
  const sendWhenLeft = (event: FocusEvent<HTMLFormElement>) => {
    if (!event.currentTarget.contains(event.relatedTarget)) event.currentTarget.requestSubmit();
  };
  return (
    <form noValidate onSubmit={send} onBlur={sendWhenLeft} className="mt-1 grid grid-cols-2 gap-2 text-xs">
      <Field
        label={`${label} from, ${unit}`}
        type="number"
        min={0}
        step="any"
        value={draft.min}
        onChange={(text) => setDraft({ ...draft, min: text })}
      />
      <Field
        label={`${label} to, ${unit}`}
        type="number"
        min={0}
        step="any"
        value={draft.max}
        onChange={(text) => setDraft({ ...draft, max: text })}
      />
      <button type="submit" hidden />
    </form>
  );
}

const textOf = (bound: number | undefined): string => (bound === undefined ? "" : String(bound));

/** Between 5 and 1 is between 1 and 5. */
const inOrder = (min: number | undefined, max: number | undefined) =>
  min !== undefined && max !== undefined && min > max ? [max, min] : [min, max];
