import { useApiAway } from "@/api/use-api-away";
import { Button } from "@/ui/button";

/** Said once for all that is on screen, which is as old as the last answer. */
export function ApiAway() {
  const [isAway, askAgain] = useApiAway();
  if (!isAway) return null;
  return (
    <div
      role="alert"
      className="sticky top-0 z-10 flex flex-wrap items-center justify-between gap-2 border-b border-bad bg-bad-ground px-4 py-2 text-bad"
    >
      <p>
        <span className="font-medium">The API does not answer.</span> What is shown may be old; it is asked
        again every 5 s.
      </p>
      <Button onClick={askAgain}>Try again</Button>
    </div>
  );
}
