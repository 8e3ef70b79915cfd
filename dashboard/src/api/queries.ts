import { queryOptions } from "@tanstack/react-query";
import {
  askTable,
  countOffers,
  type Diamond,
  explainDiamondPrice,
  type GetFacetsParams,
  getFacets,
  type ListAlertsParams,
  type ListAllHoldsParams,
  type ListAllOrdersParams,
  type ListApiKeysParams,
  type ListAuditLogParams,
  type ListConsolidationsParams,
  type ListDeadLettersParams,
  type ListDiamondsParams,
  type ListErrorLogsParams,
  type ListHeatmapsParams,
  type ListRejectedParams,
  type ListRunsParams,
  type ListSuppliersParams,
  type LiveOffer,
  listAlerts,
  listAllHolds,
  listAllOrders,
  listApiKeys,
  listAuditLog,
  listConsolidations,
  listDeadLetters,
  listDiamonds,
  listErrorLogs,
  listErrorServices,
  listFeeds,
  listHeatmaps,
  listPricingRules,
  listRejected,
  listRuns,
  listSuppliers,
  type OfferCountBody,
  type OfferSearchBody,
  type PricingRule,
  type QuestionBody,
  readConsolidation,
  readDiamond,
  readMe,
  readRawAnswer,
  readRejected,
  readRun,
  readRunConsolidation,
  readRunQuality,
  readSummary,
  readWatermark,
  searchOffers,
} from "./generated";

/** How often what has no live stream is asked for again. */
export const POLL_MILLISECONDS = 10_000;

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async ({ signal }) => (await readMe({ signal })).data,
  staleTime: 60_000,
});

export const summaryQuery = queryOptions({
  queryKey: ["summary"],
  queryFn: async ({ signal }) => (await readSummary({ signal })).data,
});

/** A page of a list. The one before stays on screen until the next has come. */
function listQuery<Filters, Page>(
  name: string,
  list: (filters: Filters, options: RequestInit) => Promise<Page>,
  filters: Filters,
) {
  return queryOptions({
    queryKey: [name, filters],
    queryFn: ({ signal }) => list(filters, { signal }),
    placeholderData: (previous) => previous,
  });
}

export const runsQuery = (filters: ListRunsParams) => listQuery("runs", listRuns, filters);

export const runQuery = (runId: string) =>
  queryOptions({
    queryKey: ["run", runId],
    queryFn: async ({ signal }) => (await readRun(runId, { signal })).data,
  });

export const qualityQuery = (runId: string) =>
  queryOptions({
    queryKey: ["quality", runId],
    queryFn: async ({ signal }) => (await readRunQuality(runId, { signal })).data,
  });

export const consolidationQuery = queryOptions({
  queryKey: ["consolidation"],
  queryFn: async ({ signal }) => (await readConsolidation({ signal })).data,
});

export const consolidationsQuery = (filters: ListConsolidationsParams) =>
  listQuery("consolidations", listConsolidations, filters);

export const runConsolidationQuery = (runId: string) =>
  queryOptions({
    queryKey: ["consolidation", runId],
    queryFn: async ({ signal }) => (await readRunConsolidation(runId, { signal })).data,
  });

export const watermarkQuery = queryOptions({
  queryKey: ["watermark"],
  queryFn: async ({ signal }) => (await readWatermark({}, { signal })).data,
});

export const heatmapsQuery = (filters: ListHeatmapsParams) => listQuery("heatmaps", listHeatmaps, filters);

export const rejectedQuery = (filters: ListRejectedParams) => listQuery("rejected", listRejected, filters);

export const rejectedStoneQuery = (feed: string, supplierStoneId: string) =>
  queryOptions({
    queryKey: ["rejected-stone", feed, supplierStoneId],
    queryFn: async ({ signal }) => (await readRejected(feed, supplierStoneId, { signal })).data,
  });

export const apiKeysQuery = (filters: ListApiKeysParams) => listQuery("api-keys", listApiKeys, filters);

export const ordersQuery = (filters: ListAllOrdersParams) => listQuery("orders", listAllOrders, filters);

export const holdsQuery = (filters: ListAllHoldsParams) => listQuery("holds", listAllHolds, filters);

export const auditLogQuery = (filters: ListAuditLogParams) => listQuery("audit-log", listAuditLog, filters);

export const errorLogsQuery = (filters: ListErrorLogsParams) =>
  listQuery("error-logs", listErrorLogs, filters);

export const errorServicesQuery = queryOptions({
  queryKey: ["error-logs", "services"],
  queryFn: async ({ signal }) => (await listErrorServices({ signal })).data,
});

/** Whole stones: only a question for some `fields` leaves any out. */
async function listWholeDiamonds(filters: Omit<ListDiamondsParams, "fields">, options: RequestInit) {
  const page = await listDiamonds(filters, options);
  return { ...page, data: page.data as Diamond[] };
}

export const diamondsQuery = (filters: Omit<ListDiamondsParams, "fields">) =>
  listQuery("diamonds", listWholeDiamonds, filters);

/** Stones with this number on their certificate; those of the number before would be others. */
export const certificateQuery = (number: string) =>
  queryOptions({
    queryKey: ["certificate", number],
    queryFn: ({ signal }) => listWholeDiamonds({ certificate_number: [number], limit: 5 }, { signal }),
  });

export const facetsQuery = (filters: GetFacetsParams) =>
  queryOptions({
    queryKey: ["facets", filters],
    queryFn: async ({ signal }) => (await getFacets(filters, { signal })).data,
    placeholderData: (previous) => previous,
  });

export const diamondQuery = (id: string) =>
  queryOptions({
    queryKey: ["diamond", id],
    queryFn: async ({ signal }) => (await readDiamond(id, { signal })).data,
  });

export const explanationQuery = (id: string) =>
  queryOptions({
    queryKey: ["explanation", id],
    queryFn: async ({ signal }) => (await explainDiamondPrice(id, { signal })).data,
  });

export const rawAnswerQuery = (id: string) =>
  queryOptions({
    queryKey: ["raw-answer", id],
    queryFn: async ({ signal }) => (await readRawAnswer(id, { signal })).data,
  });

/** All of them, active or not: where a rule stands and what shadows it is told by the others. */
async function listAllRules(signal: AbortSignal): Promise<PricingRule[]> {
  const rules: PricingRule[] = [];
  for (let page = 1, last = 1; page <= last; page += 1) {
    const { data, pagination } = await listPricingRules({ active: "all", page, limit: 100 }, { signal });
    rules.push(...data);
    last = pagination.totalPages;
  }
  return rules;
}

export const pricingRulesQuery = queryOptions({
  queryKey: ["pricing-rules"],
  queryFn: ({ signal }) => listAllRules(signal),
});

export const feedsQuery = queryOptions({
  queryKey: ["feeds"],
  queryFn: async ({ signal }) => (await listFeeds({ signal })).data,
});

export const suppliersQuery = (filters: ListSuppliersParams) =>
  listQuery("suppliers", listSuppliers, filters);

export const alertsQuery = (filters: ListAlertsParams) => listQuery("alerts", listAlerts, filters);

export const deadLettersQuery = (filters: ListDeadLettersParams) =>
  listQuery("dead-letters", listDeadLetters, filters);

/** Asking costs requests of the supplier's budget: never by itself, and never twice for one press of a button. */
const BY_HAND = { staleTime: Number.POSITIVE_INFINITY, retry: false };

export interface OfferList {
  askedAt: string;
  data: LiveOffer[];
  pagination: { total: number };
}

export const offersQuery = (body: OfferSearchBody) =>
  queryOptions({
    ...BY_HAND,
    queryKey: ["offers", body],
    queryFn: async ({ signal }): Promise<OfferList> => {
      const { items, totalCount } = (await searchOffers(body, { signal })).data;
      return { askedAt: new Date().toISOString(), data: items, pagination: { total: totalCount } };
    },
  });

export const offerCountQuery = (body: OfferCountBody) =>
  queryOptions({
    ...BY_HAND,
    queryKey: ["offer-count", body],
    queryFn: async ({ signal }) => (await countOffers(body, { signal })).data.count,
  });

export type TableName = Parameters<typeof askTable>[0];

export const foundQuery = (table: TableName, body: QuestionBody) =>
  queryOptions({
    queryKey: ["found", table, body],
    queryFn: ({ signal }) => askTable(table, body, { signal }),
  });
