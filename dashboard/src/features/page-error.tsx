import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { useState } from "react";
import { fetchOrExplain } from "@/api/call";
import { meQuery } from "@/api/queries";
import { Failed } from "@/ui/notices";
import { Page } from "@/ui/panel";

const MISSING = "The code of this page could not be loaded.";

/** The router would answer with a reload of everything, which a server that is away turns into the browser's own page. */
export function keepPageWithoutCode(): void {
  window.addEventListener("vite:preloadError", ({ payload }) => {
    payload.message = MISSING;
  });
}

/** Instead of a page that cannot be drawn. */
export function PageError({ error }: { error: unknown }) {
  const queryClient = useQueryClient();
  const router = useRouter();
  const [isAway, setAway] = useState(false);
  const given = error instanceof Error ? error : new Error(String(error));
  const isMissing = given.message === MISSING;
  // A newer dashboard may have taken this one's place: only what the server has now knows the names of its files.
  const reload = async () => {
    try {
      await fetchOrExplain("/", { cache: "no-store" });
      window.location.reload();
    } catch {
      setAway(true);
    }
  };
  const askAnew = async () => {
    queryClient.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== meQuery.queryKey[0] });
    await router.invalidate();
  };
  return (
    <Page title="This page cannot be shown">
      {isAway && <p role="status">The server does not answer yet.</p>}
      {!isMissing && <p>An answer was not what this page expects, or the page has a mistake.</p>}
      <Failed error={given} onRetry={() => void (isMissing ? reload() : askAnew())} />
    </Page>
  );
}
