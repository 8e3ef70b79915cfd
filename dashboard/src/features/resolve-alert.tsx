import { useState } from "react";
import { type AlertAnswer, resolveAlert } from "@/api/generated";
import { useThenRefresh } from "@/api/use-then-refresh";
import { Confirm } from "@/ui/confirm";
import { Field } from "@/ui/field";

/** The word of a person that an alert is over. */
export function ResolveAlert({ alert: { id, title } }: { alert: AlertAnswer }) {
  const [note, setNote] = useState("");
  const resolve = useThenRefresh(
    ["alerts"],
    ["summary"],
  )(() => resolveAlert({ alertId: id, note: note.trim() || null }));
  return (
    <Confirm action="It is settled" title={`Over: ${title}?`} done="The alert is over." onConfirm={resolve}>
      <div className="flex flex-col gap-3">
        <p>
          Who was told of it is told that it is over. It mends nothing: what is seen again is a new alert.
          Most end by themselves.
        </p>
        <Field label="What was done; who was told is told this too" value={note} onChange={setNote} />
      </div>
    </Confirm>
  );
}
