import type { FormEvent } from "react";
import { readOneOf } from "@/address";
import { Button } from "@/ui/button";
import { Check, Checks } from "@/ui/checks";
import { Choice } from "@/ui/choice";
import { Field } from "@/ui/field";
import { Select } from "@/ui/select";
import { useDraft } from "@/ui/use-draft";
import { toggled } from "./diamond-search";
import {
  type Filter,
  LIMITS,
  limitOf,
  OPERATORS,
  type Operator,
  operatorsFor,
  orderable,
  type Question,
  type QuestionSearch,
  readQuestion,
  repeatedFilter,
  valuesFor,
} from "./question";
import { columnsOf, type Kind, kindOf, TABLES } from "./tables";

interface Props {
  search: QuestionSearch;
  onAsk: (search: QuestionSearch) => void;
}

export function QuestionForm({ search: { page: _page, table = "diamonds", ...rest }, onAsk }: Props) {
  const [draft, setDraft] = useDraft<Question>({ table, ...rest });
  const change = (part: Partial<Question>) => {
    const next = { ...draft, ...part };
    setDraft({ ...next, order: readOneOf(orderable(next), next.order) });
  };
  const repeated = repeatedFilter(draft.filters ?? []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onAsk(readQuestion({ ...draft }));
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <Select
        label="Table"
        options={TABLES}
        value={draft.table}
        onChange={(chosen) => setDraft({ table: chosen, limit: draft.limit })}
      />
      <Checks
        label="Columns; none chosen means every one"
        options={columnsOf(draft.table)}
        chosen={draft.columns ?? []}
        onToggle={(column) => change({ columns: toggled(draft.columns, column) })}
      />
      <Check
        label="Count the rows for each value of the chosen columns"
        checked={draft.counted ?? false}
        onChange={(isCounted) => change({ counted: isCounted || undefined })}
      />
      <Filters
        table={draft.table}
        filters={draft.filters ?? []}
        onChange={(filters) => change({ filters })}
      />
      <Order draft={draft} onChange={change} />
      {repeated !== undefined && (
        <p role="alert" className="text-bad">
          {repeated.column} is compared by “{OPERATORS[repeated.operator]}” twice; only one of them can hold.
        </p>
      )}
      <Button type="submit" look="primary" className="self-start" disabled={repeated !== undefined}>
        Ask
      </Button>
    </form>
  );
}

function Order({ draft, onChange }: { draft: Question; onChange: (part: Partial<Question>) => void }) {
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
      <Choice
        label="Order by"
        options={orderable(draft)}
        value={draft.order}
        onChange={(order) => onChange({ order })}
      />
      <Check
        label="Largest first"
        checked={draft.descending ?? false}
        onChange={(isOn) => onChange({ descending: isOn || undefined })}
      />
      <Select
        label="Rows a page"
        options={LIMITS.map(String)}
        value={String(limitOf(draft))}
        onChange={(limit) => onChange({ limit: Number(limit) })}
      />
    </div>
  );
}

interface FiltersProps {
  table: Question["table"];
  filters: Filter[];
  onChange: (filters: Filter[]) => void;
}

function Filters({ table, filters, onChange }: FiltersProps) {
  const add = () => {
    const [column = ""] = columnsOf(table);
    onChange([...filters, { column, operator: "eq", value: "" }]);
  };
  return (
    <div className="flex flex-col items-start gap-2">
      {filters.map((filter, index) => (
        <OneFilter
          // biome-ignore lint/suspicious/noArrayIndexKey: two filters may be the same while they are written
          key={index}
          name={`Filter ${index + 1}`}
          table={table}
          filter={filter}
          onChange={(next) => onChange(filters.with(index, next))}
          onRemove={() => onChange(filters.toSpliced(index, 1))}
        />
      ))}
      <Button onClick={add}>Add a filter</Button>
    </div>
  );
}

interface FilterProps {
  name: string;
  table: Question["table"];
  filter: Filter;
  onChange: (filter: Filter) => void;
  onRemove: () => void;
}

function OneFilter({ name, table, filter, onChange, onRemove }: FilterProps) {
  const kind = kindOf(table, filter.column);
  const change = (part: Partial<Filter>) => onChange(fitting(table, { ...filter, ...part }));
  const values = valuesFor(table, filter.column, filter.operator);
  return (
    <fieldset className="flex max-w-full min-w-0 flex-wrap items-end gap-x-4 gap-y-2 rounded-md border border-line p-3">
      <legend className="px-1 text-muted">{name}</legend>
      <Select
        label="Column"
        options={columnsOf(table)}
        value={filter.column}
        onChange={(column) => change({ column })}
      />
      <Select
        label="Operator"
        options={operatorsFor(kind)}
        value={filter.operator}
        onChange={(operator) => change({ operator })}
        wordOf={(operator) => OPERATORS[operator]}
      />
      {values === undefined || !values.includes(filter.value) ? (
        <Field
          label={hintFor(kind, filter.operator)}
          value={filter.value}
          onChange={(value) => change({ value })}
        />
      ) : (
        <Select
          label="Value"
          options={values}
          value={filter.value}
          onChange={(value) => change({ value })}
          wordOf={(value) => value.replace("_", " ")}
        />
      )}
      <Button aria-label={`Remove ${name.toLowerCase()}`} onClick={onRemove}>
        Remove
      </Button>
    </fieldset>
  );
}

/** With another column or operator, what does not fit it any more is replaced. */
function fitting(table: Question["table"], { column, operator, value }: Filter): Filter {
  const kind = kindOf(table, column);
  const possible = operatorsFor(kind);
  const kept = possible.includes(operator) ? operator : "eq";
  const values = valuesFor(table, column, kept);
  return {
    column,
    operator: kept,
    value: values === undefined || values.includes(value) ? value : (values[0] ?? ""),
  };
}

const EXAMPLES: Partial<Record<Kind, string>> = {
  moment: ", such as 2026-01-31T18:00:00Z",
  uuid: ", a whole id",
};

function hintFor(kind: Kind, operator: Operator): string {
  if (operator === "in") return "Values, with commas between";
  if (operator === "like" || operator === "ilike") return "Pattern, % stands for anything";
  return `Value${EXAMPLES[kind] ?? ""}`;
}
