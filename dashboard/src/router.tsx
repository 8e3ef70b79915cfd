import { QueryClient as Client, QueryCache, type QueryClient } from "@tanstack/react-query";
import { createRouter } from "@tanstack/react-router";
import { ApiError, mayBeBetterSoon } from "./api/call";
import { PageError } from "./features/page-error";
import { routeTree } from "./routeTree.gen";
import { Loading } from "./ui/notices";

export function makeQueryClient(onSessionEnded: () => void): QueryClient {
  const onError = (error: Error) => {
    if (error instanceof ApiError && error.status === 401) onSessionEnded();
  };
  return new Client({
    queryCache: new QueryCache({ onError }),
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        retry: (failures, error) => failures < 2 && mayBeBetterSoon(error),
      },
    },
  });
}

export function makeRouter(queryClient: QueryClient) {
  return createRouter({
    routeTree,
    context: { queryClient },
    defaultPreload: "intent",
    defaultPreloadStaleTime: 0,
    scrollRestoration: true,
    // An address keeps only what its page reads: a stray parameter must not reach the API.
    search: { strict: true },
    defaultPendingComponent: () => <Loading />,
    defaultErrorComponent: PageError,
  });
}

declare module "@tanstack/react-router" {
  /** What is known of how an address came to be, beside the address itself. */
  interface HistoryState {
    /** The slider that made it: it goes on in the same place. */
    slid?: string;
    /** A click on a stone made it: to close the stone is to go back. */
    hasOpenedStone?: boolean;
  }
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
