import { useQuery } from "@tanstack/react-query";
import { createFileRoute } from "@tanstack/react-router";
import { readOneOf, readPage } from "@/address";
import { type ApiKey, revokeApiKey } from "@/api/generated";
import { apiKeysQuery, meQuery } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { CreateKey } from "@/features/create-key";
import { formatMoment, NOTHING } from "@/format";
import { Badge } from "@/ui/badge";
import { Choice } from "@/ui/choice";
import { Confirm } from "@/ui/confirm";
import { Empty } from "@/ui/notices";
import { PagedList, PER_PAGE } from "@/ui/paged-list";
import { Page, Panel } from "@/ui/panel";
import type { Column } from "@/ui/table";

const STATES = ["usable", "ended"] as const;

interface Search {
  state?: (typeof STATES)[number];
  page?: number;
}

export const Route = createFileRoute("/_signed-in/api-keys")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    state: readOneOf(STATES, search.state),
    page: readPage(search.page),
  }),
  component: ApiKeys,
});

function ApiKeys() {
  const { state, page } = Route.useSearch();
  const navigate = Route.useNavigate();
  const me = useQuery(meQuery).data?.id;
  const usable = state === undefined ? undefined : state === "usable";
  const keys = useQuery(apiKeysQuery({ usable, page, limit: PER_PAGE }));
  return (
    <Page title="API keys" aside={<CreateKey />}>
      <Choice
        label="State"
        options={STATES}
        value={state}
        onChange={(chosen) => void navigate({ search: { state: chosen } })}
      />
      <Panel title="Every key there ever was, the newest first">
        <PagedList
          of={keys}
          noun="key"
          columns={columns(me)}
          keyOf={(key) => key.id}
          page={page ?? 1}
          onPage={(next) => void navigate({ search: { state, page: next } })}
          empty={<Empty title="No key is like that." />}
        />
      </Panel>
    </Page>
  );
}

const columns = (me: string | undefined): Column<ApiKey>[] => [
  {
    title: "Whose",
    cell: (key) => (
      <>
        {key.clientName}
        {me === `key:${key.id}` && <span className="text-muted"> (this one)</span>}
      </>
    ),
  },
  { title: "May", cell: (key) => key.permissions.join(", ") },
  { title: "State", cell: (key) => <StateOf apiKey={key} /> },
  { title: "Made", cell: (key) => formatMoment(key.createdAt) },
  { title: "Last used", cell: (key) => formatMoment(key.lastUsedAt) },
  { title: "Ends", cell: (key) => formatMoment(key.expiresAt) },
  { title: "What to do", cell: (key) => (key.usable ? <Revoke apiKey={key} /> : NOTHING) },
];

function StateOf({ apiKey }: { apiKey: ApiKey }) {
  if (apiKey.usable) return <Badge tone="good">usable</Badge>;
  return <Badge tone="quiet">{apiKey.active ? "expired" : "revoked"}</Badge>;
}

function Revoke({ apiKey }: { apiKey: ApiKey }) {
  const revoke = useThenRefresh(["api-keys"])(() => revokeApiKey(apiKey.id));
  return (
    <Confirm
      action="Revoke"
      look="danger"
      title={`Revoke the key of ${apiKey.clientName}?`}
      onConfirm={revoke}
    >
      Useless for ever within 5 seconds, in every process. It was last used{" "}
      {apiKey.lastUsedAt === null ? "never" : `at ${formatMoment(apiKey.lastUsedAt)}`}.
    </Confirm>
  );
}
