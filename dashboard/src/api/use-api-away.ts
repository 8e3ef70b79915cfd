import { type Query, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { isUnreachable } from "./call";
import { meQuery } from "./queries";

const PAUSE_MILLISECONDS = 5_000;

const isWaiting = ({ queryKey, state }: Query): boolean =>
  state.status === "error" || queryKey[0] === meQuery.queryKey[0];

/** Whether the last question had no answer at all, and what asks again; until one comes, that is done by itself. */
export function useApiAway(): [boolean, () => void] {
  const client = useQueryClient();
  const [isAway, setAway] = useState(false);
  const askAgain = useCallback(
    () => void client.refetchQueries({ type: "active", predicate: isWaiting }),
    [client],
  );
  useEffect(
    () =>
      client.getQueryCache().subscribe((event) => {
        if (event.type !== "updated") return;
        const { action } = event;
        if (action.type === "success" && action.manual !== true) setAway(false);
        if (action.type === "failed" || action.type === "error") setAway(isUnreachable(action.error));
      }),
    [client],
  );
  useEffect(() => {
    if (!isAway) return;
    const timer = setInterval(askAgain, PAUSE_MILLISECONDS);
    return () => clearInterval(timer);
  }, [isAway, askAgain]);
  return [isAway, askAgain];
}
