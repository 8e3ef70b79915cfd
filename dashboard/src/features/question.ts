import { readOneOf, readPage, readSomeOf, readText, readTrue } from "@/address";
import type { QuestionBody } from "@/api/generated";
import type { TableName } from "@/api/queries";
import { columnsOf, type Kind, kindOf, TABLES, wordsOf } from "./tables";

/** The API's operators, and how they read. */
export const OPERATORS = {
  eq: "=",
  neq: "≠",
  gt: ">",
  gte: "≥",
  lt: "<",
  lte: "≤",
  like: "like",
  ilike: "like, in any case",
  in: "one of",
  is: "is",
} as const;
export type Operator = keyof typeof OPERATORS;
const OPERATOR_NAMES = Object.keys(OPERATORS) as Operator[];

export const LIMITS = [10, 25, 100, 500, 1_000] as const;
const USUAL_LIMIT = 25;

/** What the rows of each group are counted as. */
export const COUNT_COLUMN = "rows";

export interface Filter {
  column: string;
  operator: Operator;
  value: string;
}

export interface Question {
  table: TableName;
  /** Left out: every column that is allowed. */
  columns?: string[];
  /** The chosen columns are what is grouped by, and each group's rows are counted. */
  counted?: true;
  filters?: Filter[];
  order?: string;
  descending?: true;
  limit?: number;
}

/** An address without a table asks nothing. */
export type QuestionSearch = Partial<Question> & { page?: number };

export function readQuestion(search: Record<string, unknown>): QuestionSearch {
  const table = readOneOf(TABLES, search.table);
  if (table === undefined) return {};
  const columns = readSomeOf(columnsOf(table), search.columns);
  const counted = readTrue(search.counted);
  const filters = [search.filters].flat().flatMap((given) => readFilter(table, given) ?? []);
  const order = readOneOf(orderable({ table, columns, counted }), search.order);
  const limit = LIMITS.find((each) => each === search.limit);
  return {
    table,
    columns,
    counted,
    filters: filters.length > 0 ? filters : undefined,
    order,
    descending: order === undefined ? undefined : readTrue(search.descending),
    limit: limit === USUAL_LIMIT ? undefined : limit,
    page: readPage(search.page),
  };
}

function readFilter(table: TableName, given: unknown): Filter | undefined {
  if (typeof given !== "object" || given === null) return undefined;
  const { column, operator, value } = given as Record<string, unknown>;
  const known = readOneOf(columnsOf(table), column);
  if (known === undefined) return undefined;
  const allowed = readOneOf(operatorsFor(kindOf(table, known)), operator);
  return allowed && { column: known, operator: allowed, value: readText(value) ?? "" };
}

/** By what the answer can be ordered: a count only by what it shows. */
export const orderable = ({ table, columns, counted }: Question): string[] =>
  counted ? [...(columns ?? []), COUNT_COLUMN] : columnsOf(table);

export const operatorsFor = (kind: Kind): Operator[] =>
  OPERATOR_NAMES.filter((operator) => kind === "text" || (operator !== "like" && operator !== "ilike"));

/** What can be chosen as the value; undefined where it is written. */
export function valuesFor(
  table: TableName,
  column: string,
  operator: Operator,
): readonly string[] | undefined {
  const kind = kindOf(table, column);
  if (operator === "is")
    return kind === "boolean" ? ["null", "not_null", "true", "false"] : ["null", "not_null"];
  if (kind === "boolean" && operator !== "in") return ["true", "false"];
  return operator === "eq" || operator === "neq" ? wordsOf(table, column) : undefined;
}

export const limitOf = ({ limit }: Pick<Question, "limit">): number => limit ?? USUAL_LIMIT;

export function bodyOf(question: Question, page: number): QuestionBody {
  const { table, columns = [], counted, filters = [], order, descending } = question;
  const selected = counted ? [...columns, `count(*) as ${COUNT_COLUMN}`] : columns;
  const limit = limitOf(question);
  return {
    select: selected.join(", ") || "*",
    filters: conditionsOf(table, filters),
    order: order === undefined ? null : { column: order, ascending: descending === undefined },
    limit,
    offset: (page - 1) * limit,
  };
}

function conditionsOf(table: TableName, filters: Filter[]): Record<string, Record<string, unknown>> {
  const conditions: Record<string, Record<string, unknown>> = {};
  for (const { column, operator, value } of filters)
    conditions[column] = {
      ...conditions[column],
      [operator]: sentValue(kindOf(table, column), operator, value),
    };
  return conditions;
}

function sentValue(kind: Kind, operator: Operator, text: string): unknown {
  if (operator === "in") return text.split(",").map((each) => plainValue(kind, each.trim()));
  if (operator === "is") return plainValue("boolean", text);
  return plainValue(kind, operator === "like" || operator === "ilike" ? text : text.trim());
}

/** The API reads numbers, moments and ids from their text, and judges them. */
const plainValue = (kind: Kind, text: string): string | boolean =>
  kind === "boolean" && (text === "true" || text === "false") ? text === "true" : text;

/** The API takes each operator once for a column: the second of two would silently replace the first. */
export function repeatedFilter(filters: Filter[]): Filter | undefined {
  const names = filters.map(({ column, operator }) => `${column} ${operator}`);
  return filters.find((_filter, index) => names.indexOf(names[index] ?? "") < index);
}
