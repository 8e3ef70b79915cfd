import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import { readOneOf, readPage } from "@/address";
import { type DeadLetterAnswer, ListDeadLettersQueue as Queue, replayDeadLetters } from "@/api/generated";
import { deadLettersQuery, POLL_MILLISECONDS } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { counted, NOTHING } from "@/format";
import { Choice } from "@/ui/choice";
import { Confirm } from "@/ui/confirm";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import { Payload } from "@/ui/payload";
import { ShowOnly } from "@/ui/show-only";
import type { Column } from "@/ui/table";

const QUEUES = Object.values(Queue);

interface Search {
  queue?: Queue;
  page?: number;
}

export const Route = createFileRoute("/_signed-in/dead-letters")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    queue: readOneOf(QUEUES, search.queue),
    page: readPage(search.page),
  }),
  component: DeadLetters,
});

function DeadLetters() {
  const { queue, page } = Route.useSearch();
  const navigate = Route.useNavigate();
  const letters = useQuery({
    ...deadLettersQuery({ queue, page, limit: PER_PAGE }),
    refetchInterval: POLL_MILLISECONDS,
  });
  const total = letters.isPlaceholderData ? 0 : (letters.data?.pagination.total ?? 0);
  const choose = (chosen: Queue | undefined) => void navigate({ search: { queue: chosen } });
  return (
    <Page
      title="Dead letters"
      aside={queue !== undefined && total > 0 && <ReplayQueue queue={queue} total={total} />}
    >
      <div className="flex flex-wrap items-center gap-3">
        <Choice label="Queue" options={QUEUES} value={queue} onChange={choose} />
        {queue === undefined && total > 0 && (
          <p className="text-muted">Choose a queue to replay all of its messages.</p>
        )}
      </div>
      <Panel title="Messages that nobody could handle, the oldest 1,000 of each queue">
        <PagedList
          of={letters}
          noun="message"
          columns={columns(choose)}
          keyOf={(letter) => `${letter.queue}/${letter.id}`}
          page={page ?? 1}
          onPage={(next) => void navigate({ search: { queue, page: next } })}
          empty={<Empty title="No message is set aside here.">Each one was handled, or still waits.</Empty>}
          words={["Older", "Newer"]}
        />
      </Panel>
    </Page>
  );
}

const columns = (onQueue: (queue: Queue | undefined) => void): Column<DeadLetterAnswer>[] => [
  {
    title: "Queue",
    cell: ({ queue }) => <ShowOnly value={queue} onChoose={() => onQueue(readOneOf(QUEUES, queue))} />,
  },
  { title: "Id", cell: ({ id }) => <code className="text-xs break-all">{id}</code> },
  { title: "Reason", cell: ({ reason }) => reason || NOTHING },
  {
    title: "Description",
    cell: ({ description }) => <span className="break-words">{description || NOTHING}</span>,
  },
  { title: "Message", cell: (letter) => <Message letter={letter} /> },
  { title: "What to do", cell: (letter) => <ReplayOne letter={letter} /> },
];

function Message({ letter: { body, properties } }: { letter: DeadLetterAnswer }) {
  return (
    <details>
      <summary className="cursor-pointer">Show it</summary>
      <div className="mt-2 flex max-w-[min(40rem,70vw)] flex-col gap-2">
        <Payload value={body} path="$" />
        {Object.keys(properties).length > 0 && (
          <>
            <span className="text-muted">Properties</span>
            <Payload value={properties} path="$" />
          </>
        )}
      </div>
    </details>
  );
}

function ReplayOne({ letter: { queue, id } }: { letter: DeadLetterAnswer }) {
  const known = readOneOf(QUEUES, queue);
  const replay = useThenRefresh(["dead-letters"])(async () => {
    if (known === undefined) throw new Error(`There is no queue ${queue} any more.`);
    await replayDeadLetters({ queue: known, ids: [id] });
  });
  return (
    <Confirm action="Replay" title="Replay 1 message?" onConfirm={replay}>
      <Consequence queue={queue} />
    </Confirm>
  );
}

function ReplayQueue({ queue, total }: { queue: Queue; total: number }) {
  const replay = useThenRefresh(["dead-letters"])(() => replayDeadLetters({ queue }));
  return (
    <Confirm
      action="Replay all of this queue"
      title={`Replay ${counted(total, "message")}?`}
      onConfirm={replay}
    >
      <Consequence queue={queue} />
    </Confirm>
  );
}

const Consequence = ({ queue }: { queue: string }) =>
  `Sent to ${queue} again. A message only wakes somebody up, so none does work twice; what still cannot be handled comes back here.`;
