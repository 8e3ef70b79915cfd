import { startRun } from "@/api/generated";
import { useThenRefresh } from "@/api/use-then-refresh";
import { Confirm } from "@/ui/confirm";

export function StartRun({ kind, disabled }: { kind: "full" | "incremental"; disabled?: boolean }) {
  const start = useThenRefresh(["runs"])(() => startRun({ runType: kind }));
  return (
    <Confirm
      action={`Start ${kind === "full" ? "a full" : "an incremental"} run`}
      title={`Start ${kind === "full" ? "a full" : "an incremental"} run?`}
      disabled={disabled}
      onConfirm={start}
    >
      {kind === "full"
        ? "The whole inventory is counted and read; stones that are gone are found. It takes the supplier's request budget for as long as it reads."
        : "What changed since the watermark is read. Removed stones are only found by a full run."}
    </Confirm>
  );
}
