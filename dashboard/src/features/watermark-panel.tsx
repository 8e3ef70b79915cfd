import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { setWatermark, type WatermarkAnswer } from "@/api/generated";
import { POLL_MILLISECONDS, watermarkQuery } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { formatAge, formatMoment, NOTHING } from "@/format";
import { Answer } from "@/ui/answer";
import { Confirm } from "@/ui/confirm";
import { Field } from "@/ui/field";
import { Figure, FigureRow } from "@/ui/figure";
import { Empty } from "@/ui/notices";
import { Panel } from "@/ui/panel";
import { useNow } from "@/ui/use-now";
import { fromFieldValue, moveOf, toFieldValue } from "./watermark-move";

/** Up to when the feed has been read completely: the next incremental run begins there. */
export function WatermarkPanel() {
  const watermark = useQuery({ ...watermarkQuery, refetchInterval: POLL_MILLISECONDS });
  return (
    <Panel title="Watermark" aside={watermark.data && <SetWatermark present={watermark.data} />}>
      <Answer of={watermark}>
        {(present) => (present === null ? <NoWatermark /> : <WatermarkFigures present={present} />)}
      </Answer>
    </Panel>
  );
}

function NoWatermark() {
  return (
    <Empty title="No watermark yet">
      The first complete run sets it.{" "}
      <Link to="/runs" className="text-accent underline">
        Start a full run
      </Link>
    </Empty>
  );
}

function WatermarkFigures({ present }: { present: WatermarkAnswer }) {
  const now = useNow();
  const { lastUpdatedAt, lastRunId, lastRunCompletedAt } = present;
  return (
    <FigureRow>
      <Figure label="Read completely up to" note={formatMoment(lastUpdatedAt)}>
        {formatAge(lastUpdatedAt, now)}
      </Figure>
      <Figure
        label="By the run that ended"
        note={
          lastRunId === null ? (
            NOTHING
          ) : (
            <Link to="/runs/$runId" params={{ runId: lastRunId }} className="text-accent underline">
              {formatMoment(lastRunCompletedAt)}
            </Link>
          )
        }
      >
        {formatAge(lastRunCompletedAt, now)}
      </Figure>
    </FigureRow>
  );
}

function SetWatermark({ present }: { present: WatermarkAnswer }) {
  const now = useNow();
  const [typed, setTyped] = useState<string>();
  const value = typed ?? toFieldValue(present.lastUpdatedAt);
  const wanted = fromFieldValue(value);
  const { isForward, consequence } = moveOf(present.lastUpdatedAt, wanted, now);
  const set = useThenRefresh(
    ["watermark"],
    ["summary"],
  )(async () => {
    if (wanted === undefined) throw new Error("Choose a moment.");
    await setWatermark({ ...present, lastUpdatedAt: wanted });
    setTyped(undefined);
  });
  return (
    <Confirm
      action="Set watermark"
      look={isForward ? "danger" : "plain"}
      title="Up to when has everything been read?"
      onConfirm={set}
    >
      <div className="flex flex-col gap-3">
        <p>It is {formatMoment(present.lastUpdatedAt)} now. A run that is active keeps it from being set.</p>
        <Field
          label="New moment, in your time zone"
          type="datetime-local"
          value={value}
          onChange={setTyped}
          required
        />
        <p role="status" className={isForward ? "text-bad" : ""}>
          {wanted !== undefined && `${formatMoment(wanted)}. `}
          {consequence}
        </p>
      </div>
    </Confirm>
  );
}
