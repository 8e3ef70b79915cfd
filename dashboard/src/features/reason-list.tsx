import { useQuery } from "@tanstack/react-query";
import type { QuestionBody } from "@/api/generated";
import { foundQuery, rejectedQuery } from "@/api/queries";
import { formatCount } from "@/format";
import { Answer } from "@/ui/answer";
import { Empty } from "@/ui/notices";

/** More reasons than anybody reads. */
const MOST = 100;

interface Props {
  state: "open" | "resolved" | "all";
  chosen: string | undefined;
  onChoose: (reason: string | undefined) => void;
}

/** How many stones each reason keeps from being sold, the commonest first. */
export function ReasonList({ state, chosen, onChoose }: Props) {
  const reasons = useQuery(foundQuery("rejected_diamonds", questionOf(state)));
  return (
    <Answer of={reasons}>
      {({ data }) =>
        data.length === 0 ? (
          <Empty title="There is no reason to show." />
        ) : (
          <ul className="flex flex-col divide-y divide-line">
            {data.map(({ reason, stones }) => (
              <li key={String(reason)}>
                <button
                  type="button"
                  aria-pressed={reason === chosen}
                  onClick={() => onChoose(reason === chosen ? undefined : String(reason))}
                  className="flex w-full items-start gap-3 rounded-md px-2 py-2 text-left hover:bg-raised aria-pressed:bg-raised aria-pressed:font-semibold"
                >
                  <span className="min-w-0 flex-1 break-words">{String(reason)}</span>
                  <span>{formatCount(Number(stones))}</span>
                </button>
              </li>
            ))}
          </ul>
        )
      }
    </Answer>
  );
}

const questionOf = (state: Props["state"]): QuestionBody => ({
  select: "reason, count(*) as stones",
  filters: state === "all" ? {} : { resolved_at: { is: state === "open" ? "null" : "not_null" } },
  order: { column: "stones", ascending: false },
  limit: MOST,
});

/** What a replay of a reason maps anew. */
export const openOfReason = (reason: string) => rejectedQuery({ resolved: false, reason, limit: 1 });
