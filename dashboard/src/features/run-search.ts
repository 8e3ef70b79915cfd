import { readOneOf, readPage, readSomeOf } from "@/address";

export const STATUSES = ["running", "completed", "partial", "failed"] as const;
export const TYPES = ["full", "incremental"] as const;

export interface RunSearch {
  status?: (typeof STATUSES)[number][];
  runType?: (typeof TYPES)[number];
  page?: number;
}

/** The address holds the filters, so that a view can be sent to a colleague; what is no filter is left out. */
export function readRunSearch(search: Record<string, unknown>): RunSearch {
  return {
    status: readSomeOf(STATUSES, search.status),
    runType: readOneOf(TYPES, search.runType),
    page: readPage(search.page),
  };
}
