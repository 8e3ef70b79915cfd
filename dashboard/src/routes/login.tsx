import { useQueryClient } from "@tanstack/react-query";
import { createFileRoute, useRouter } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { ApiError } from "@/api/call";
import { readMe } from "@/api/generated";
import { meQuery } from "@/api/queries";
import { keepKey } from "@/api/session";
import { Button } from "@/ui/button";
import { Failed } from "@/ui/notices";

interface Search {
  /** Where to go afterwards: an address of this dashboard. */
  from?: string;
  expired?: boolean;
}

export const Route = createFileRoute("/login")({
  validateSearch: (search: Record<string, unknown>): Search => ({
    from: typeof search.from === "string" && /^\/(?![/\\])/.test(search.from) ? search.from : undefined,
    expired: search.expired === true ? true : undefined,
  }),
  component: Login,
});

function Login() {
  const { from, expired } = Route.useSearch();
  const router = useRouter();
  const queryClient = useQueryClient();
  const [key, setKey] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);

  const logIn = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const me = await readMe({ headers: { "X-API-Key": key.trim() } });
      keepKey(key.trim());
      queryClient.setQueryData(meQuery.queryKey, me.data);
      router.history.push(from ?? "/");
    } catch (failure) {
      setError(failure instanceof ApiError ? failure : new Error("a key has only letters, digits and _"));
    } finally {
      setBusy(false);
    }
  };

  return (
    <main className="flex min-h-screen items-center justify-center p-4">
      <title>Log in · Diamond Opus</title>
      <form
        onSubmit={(event) => void logIn(event)}
        className="flex w-full max-w-sm flex-col gap-4 rounded-xl border border-line bg-surface p-6 shadow-sm"
      >
        <div className="flex items-center gap-2">
          <img src="/diamond.svg" alt="" className="size-8" />
          <h1 className="text-lg font-semibold">Diamond Opus</h1>
        </div>
        {expired === true && error === null && (
          <p role="status" className="rounded-md bg-warn-ground px-3 py-2 text-warn">
            The key has been revoked or has expired. Log in to go on where you were.
          </p>
        )}
        <label className="flex flex-col gap-1 font-medium">
          API key
          <input
            type="password"
            name="api-key"
            autoComplete="current-password"
            required
            // biome-ignore lint/a11y/noAutofocus: the page has this one field
            autoFocus
            placeholder="dk_…"
            value={key}
            onChange={(event) => setKey(event.target.value)}
            className="rounded-md border border-line bg-ground px-3 py-2 font-normal"
          />
        </label>
        {error !== null && <Failed error={error} />}
        <Button type="submit" look="primary" disabled={isBusy || key.trim() === ""}>
          {isBusy ? "Checking …" : "Log in"}
        </Button>
        <p className="text-xs text-muted">
          The key stays in this tab and ends with it. An operator makes keys with{" "}
          <code className="whitespace-nowrap">diamond keys create</code>.
        </p>
      </form>
    </main>
  );
}
