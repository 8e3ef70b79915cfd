import { useRef, useState } from "react";
import { download } from "@/api/call";
import { type ExportDiamondsParams, getExportDiamondsUrl } from "@/api/generated";
import { formatBytes } from "@/format";
import { Button } from "@/ui/button";
import { Failed } from "@/ui/notices";
import { saveFile } from "@/ui/save-file";

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
      saveFile(await download(getExportDiamondsUrl(filters), { signal }, setBytes), "diamonds.csv");
    } catch (failure) {
      if (!cancelling.current.signal.aborted) setError(failure as Error);
    } finally {
      setBytes(null);
    }
  };
  return (
    <>
      {bytes === null ? (
        <Button onClick={() => void start()}>Download as CSV</Button>
      ) : (
        <Button onClick={() => cancelling.current?.abort()}>{formatBytes(bytes)} so far: cancel</Button>
      )}
      {error !== null && <Failed error={error} onRetry={() => void start()} />}
    </>
  );
}
