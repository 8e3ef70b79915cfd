import { ApiError } from "@/api/call";

/** What the API says against one field of a form, with the other fields by the names that the form gives them. */
export function problemOf<Name extends string>(
  error: Error | null,
  name: Name,
  labels: Record<Name, string>,
): string | undefined {
  if (!(error instanceof ApiError)) return undefined;
  const said = error.problems.find(({ parameter }) => parameter === name)?.message;
  return said?.replace(/\w+/g, (word) => {
    const other = camelCased(word) as Name;
    return Object.hasOwn(labels, other) ? `“${labels[other]}”` : word;
  });
}

/** Whether each problem stands at a field already, and need not be told once more. */
export const isAtFields = (error: Error | null, names: readonly string[]): boolean =>
  error instanceof ApiError &&
  error.problems.length > 0 &&
  error.problems.every(({ parameter }) => names.includes(parameter));

const camelCased = (word: string): string =>
  word.replace(/_(\w)/g, (_all, letter: string) => letter.toUpperCase());
