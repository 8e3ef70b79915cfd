import { useQuery } from "@tanstack/react-query";
import { createFileRoute, Link } from "@tanstack/react-router";
import { useState } from "react";
import { readText } from "@/address";
import type { StoredScanList } from "@/api/generated";
import { heatmapsQuery } from "@/api/queries";
import { ScanHistory } from "@/features/scan-history";
import { ScanView } from "@/features/scan-view";
import { gatherScans, type Scan } from "@/features/scans";
import { StartScan } from "@/features/start-scan";
import { Answer } from "@/ui/answer";
import { Empty } from "@/ui/notices";
import { Page, Panel } from "@/ui/panel";

/** Rows, one for each type: each brings its whole density along. */
const NEWEST = { limit: 50 };

interface Search {
  scan?: string;
}

export const Route = createFileRoute("/_signed-in/heatmap")({
  validateSearch: (search: Record<string, unknown>): Search => ({ scan: readText(search.scan) }),
  component: HeatmapPage,
});

function HeatmapPage() {
  const { scan: chosen } = Route.useSearch();
  const navigate = Route.useNavigate();
  const [fresh, setFresh] = useState<Scan>();
  const history = useQuery(heatmapsQuery(NEWEST));
  const show = (scan: Scan) => {
    setFresh(scan);
    void navigate({ search: {} });
  };
  const newest = history.data && scansOf(history.data)[0];
  return (
    <Page title="Heatmap" aside={<StartScan last={newest} onScanned={show} />}>
      <Answer of={history} rows={8}>
        {(list) => <Scans list={list} chosen={chosen} fresh={fresh} />}
      </Answer>
    </Page>
  );
}

interface Props {
  list: StoredScanList;
  chosen: string | undefined;
  fresh: Scan | undefined;
}

function Scans({ list, chosen, fresh }: Props) {
  const scans = scansOf(list);
  const shown = chosen === undefined ? (fresh ?? scans[0]) : scans.find(({ ids }) => ids.includes(chosen));
  return (
    <>
      {shown === undefined ? <NothingToShow isChosen={chosen !== undefined} /> : <ScanView scan={shown} />}
      {scans.length > 0 && (
        <Panel title="Scans that are kept, the newest first">
          <ScanHistory scans={scans} shown={shown} />
          {isCut(list) && (
            <p className="mt-3 text-xs text-muted">
              Older ones by <code>GET /api/v2/heatmap/history</code>.
            </p>
          )}
        </Panel>
      )}
    </>
  );
}

function NothingToShow({ isChosen }: { isChosen: boolean }) {
  if (!isChosen)
    return (
      <Empty title="The inventory has not been scanned yet.">
        A preview shows its shape with few counts. A full run scans all of it.
      </Empty>
    );
  return (
    <Empty title="This scan is not among the newest.">
      <Link to="/heatmap" className="text-accent underline">
        Show the newest one
      </Link>
    </Empty>
  );
}

const isCut = ({ data, pagination }: StoredScanList) => data.length < pagination.total;

/** Where the list is cut, the last scan may be there in part only, and is left out. */
const scansOf = (list: StoredScanList): Scan[] => {
  const scans = gatherScans(list.data);
  return isCut(list) ? scans.slice(0, -1) : scans;
};
