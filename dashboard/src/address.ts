/** What an address may hold: every reader leaves out what it cannot mean. */

export const readOneOf = <Value extends string>(
  values: readonly Value[],
  given: unknown,
): Value | undefined => values.find((each) => each === given);

export const readText = (given: unknown): string | undefined =>
  typeof given === "string" && given !== "" ? given : undefined;

/** Of a list; the first page is left out. */
export function readPage(given: unknown): number | undefined {
  const page = Number(given);
  return Number.isSafeInteger(page) && page > 1 ? page : undefined;
}
