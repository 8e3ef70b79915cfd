import { previewHeatmap, runHeatmap } from "@/api/generated";
import { useThenRefresh } from "@/api/use-then-refresh";
import { counted } from "@/format";
import { Confirm } from "@/ui/confirm";
import { type Scan, scanOf } from "./scans";

/** All that the API takes: unless told it leaves out the dearest stones. */
const ALL_PRICES = { minPrice: 0, maxPrice: 10_000_000 };

interface Props {
  /** The newest scan that is kept: what the next one may cost. */
  last: Scan | undefined;
  onScanned: (scan: Scan) => void;
}

export function StartScan({ last, onScanned }: Props) {
  const preview = async () => {
    const { data } = await previewHeatmap(ALL_PRICES);
    onScanned(scanOf(data, "preview", new Date().toISOString()));
  };
  const scan = useThenRefresh(["heatmaps"])(async () => {
    const { data } = await runHeatmap(ALL_PRICES);
    onScanned(scanOf(data, "scan", new Date().toISOString()));
  });
  return (
    <div className="flex flex-wrap gap-2">
      <Confirm action="Preview" title="Look with few counts?" onConfirm={preview}>
        The supplier is asked for at most 40 counts, and the inventory is cut into at most 10 partitions.
        Nothing is kept.
      </Confirm>
      <Confirm action="Scan everything" look="primary" title="Count the whole inventory?" onConfirm={scan}>
        <p>
          {last === undefined
            ? "It takes as many requests as a full run's planning, "
            : `The last scan took ${counted(last.apiCalls, "request")}, `}
          out of the budget that runs share. The scan is kept, and incremental runs are cut by its shape.
        </p>
        <p className="mt-2">One that takes longer than HEATMAP_TIMEOUT_SECONDS ends with nothing kept.</p>
      </Confirm>
    </div>
  );
}
