import type { QueryClient, QueryKey } from "@tanstack/react-query";

/**
 * Asks again for what events cannot tell, at once but then at most every few seconds for each question: a run that
 * reads a thousand partitions must not spend the key's rate limit.
 */
export class Refresher {
  private readonly waiting = new Map<string, ReturnType<typeof setTimeout>>();
  private readonly wanted = new Map<string, QueryKey>();

  constructor(
    private readonly client: QueryClient,
    private readonly pauseMilliseconds = 5_000,
  ) {}

  refresh(queryKey: QueryKey): void {
    const name = JSON.stringify(queryKey);
    if (this.waiting.has(name)) {
      this.wanted.set(name, queryKey);
      return;
    }
    this.ask(name, queryKey);
  }

  close(): void {
    for (const timer of this.waiting.values()) clearTimeout(timer);
    this.waiting.clear();
    this.wanted.clear();
  }

  private ask(name: string, queryKey: QueryKey): void {
    void this.client.invalidateQueries({ queryKey });
    const next = () => {
      this.waiting.delete(name);
      const again = this.wanted.get(name);
      if (again === undefined) return;
      this.wanted.delete(name);
      this.ask(name, again);
    };
    this.waiting.set(name, setTimeout(next, this.pauseMilliseconds));
  }
}
