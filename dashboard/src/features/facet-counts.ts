export interface FacetCount {
  value: string;
  count: number;
}

/** Counts by value, and 0 for what is kept though nothing has it. */
export function withKeptCounts(counts: FacetCount[], kept: readonly string[]): FacetCount[] {
  const missing = kept.filter((each) => counts.every(({ value }) => value !== each));
  return [...counts, ...missing.map((value) => ({ value, count: 0 }))];
}

const WORDS: Record<string, string> = { true: "Lab-grown", false: "Natural" };

export const wordsOf = (value: string): string => WORDS[value] ?? value;
