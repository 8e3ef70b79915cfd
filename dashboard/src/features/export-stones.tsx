import { type MouseEvent, useRef, useState } from "react";
import { stream } from "@/api/call";
import { type ExportDiamondsParams, getExportDiamondsUrl } from "@/api/generated";
import { formatBytes } from "@/format";
import { Button } from "@/ui/button";
import { Failed } from "@/ui/notices";
import { saveStream } from "@/ui/save-file";

/** Every stone that meets the filters, as a spreadsheet takes it. */
export function ExportStones({ filters }: { filters: ExportDiamondsParams }) {
  const [bytes, setBytes] = useState<number | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const cancelling = useRef<AbortController>(null);
  const start = async () => {
    cancelling.current = new AbortController();
    setBytes(0);
    setError(null);
    try {
      const { signal } = cancelling.current;
      const file = () => stream(getExportDiamondsUrl(filters), { signal }, setBytes);
      await saveStream(file, "diamonds.csv", signal);
    } catch (failure) {
      if ((failure as Error).name !== "AbortError") setError(failure as Error);
    } finally {
      setBytes(null);
    }
  };
  const press = ({ detail }: MouseEvent) => {
    // The second of a double click would take back what the first has started.
    if (detail > 1) return;
    if (bytes === null) void start();
    else cancelling.current?.abort();
  };
  return (
    <>
      <Button onClick={press}>
        {bytes === null ? "Download as CSV" : `${formatBytes(bytes)} so far: cancel`}
      </Button>
      {error !== null && <Failed error={error} onRetry={() => void start()} />}
    </>
  );
}
