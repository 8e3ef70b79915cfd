import { useState } from "react";

/** What a form holds until it is sent; another address, as after Back, fills it anew. */
export function useDraft<Draft>(sent: Draft): [Draft, (draft: Draft) => void] {
  const key = JSON.stringify(sent);
  const [held, setHeld] = useState({ key, draft: sent });
  const isOfThis = held.key === key;
  if (!isOfThis) setHeld({ key, draft: sent });
  return [isOfThis ? held.draft : sent, (draft) => setHeld({ key, draft })];
}
