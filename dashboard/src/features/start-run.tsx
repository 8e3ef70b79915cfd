import { useQueryClient } from "@tanstack/react-query";
import { startRun } from "@/api/generated";
import { Confirm } from "@/ui/confirm";

export function StartRun({ kind, disabled }: { kind: "full" | "incremental"; disabled?: boolean }) {
  const queryClient = useQueryClient();
  const start = async () => {
    await startRun({ runType: kind });
    await queryClient.invalidateQueries({ queryKey: ["runs"] });
  };
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
