import { type QueryKey, useQueryClient } from "@tanstack/react-query";

/** Makes of a change what a button does: the change, and then these questions asked again, one after the other. */
export function useThenRefresh(...queryKeys: QueryKey[]) {
  const queryClient = useQueryClient();
  return (change: () => Promise<unknown>) => async (): Promise<void> => {
    await change();
    for (const queryKey of queryKeys) await queryClient.invalidateQueries({ queryKey });
  };
}
