export interface Marked {
  before: string;
  marked: string;
  after: string;
}

/** "$.a.b[3]" as its steps; null for what is no such path. */
export function stepsOfPath(path: string): string[] | null {
  if (!path.startsWith("$")) return null;
  const steps = path.slice(1).match(/\.[^.[\]]+|\[\d+\]/g) ?? [];
  const isWhole = steps.join("") === path.slice(1);
  return isWhole ? steps.map((step) => step.replace(/^[.[]|\]$/g, "")) : null;
}

/**
 * The text of a value, cut around what a path leads to. Where the last steps are missing, which is often what was
 * wrong, the nearest value that is there is marked.
 */
export function markPath(value: unknown, path: string): Marked {
  const steps = stepsOfPath(path) ?? [];
  const found = nearest(value, steps);
  const lines = JSON.stringify(value, null, 2);
  if (found.length === 0) return { before: lines, marked: "", after: "" };
  const placeholder = crypto.randomUUID();
  const target = at(value, found);
  const text = JSON.stringify(replaced(value, found, placeholder), null, 2);
  const [before = "", after = ""] = text.split(JSON.stringify(placeholder));
  const indent = " ".repeat(2 * found.length);
  const marked = JSON.stringify(target, null, 2).replaceAll("\n", `\n${indent}`);
  return { before, marked, after };
}

const isContainer = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

function nearest(value: unknown, steps: string[]): string[] {
  const found: string[] = [];
  let current = value;
  for (const step of steps) {
    if (!isContainer(current) || !Object.hasOwn(current, step)) break;
    current = current[step];
    found.push(step);
  }
  return found;
}

const at = (value: unknown, steps: string[]): unknown =>
  steps.reduce<unknown>((current, step) => (isContainer(current) ? current[step] : undefined), value);

function replaced(value: unknown, [step, ...rest]: string[], by: string): unknown {
  if (step === undefined) return by;
  if (Array.isArray(value)) return value.with(Number(step), replaced(value[Number(step)], rest, by));
  return isContainer(value) ? { ...value, [step]: replaced(value[step], rest, by) } : value;
}
