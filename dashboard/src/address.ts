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

/** Those of a list, or of a single value, that are known; undefined when there is none. */
export function readSomeOf<Value extends string>(
  values: readonly Value[],
  given: unknown,
): Value[] | undefined {
  const known = [given].flat().flatMap((each) => readOneOf(values, each) ?? []);
  return known.length > 0 ? known : undefined;
}

/** Said, or not: false is left out. */
export const readTrue = (given: unknown): true | undefined => (given === true ? true : undefined);

/** A number from 0, or its text as a form holds it. */
export function readAmount(given: unknown): number | undefined {
  const amount = typeof given === "string" && given.trim() !== "" ? Number(given) : given;
  return typeof amount === "number" && Number.isFinite(amount) && amount >= 0 ? amount : undefined;
}
