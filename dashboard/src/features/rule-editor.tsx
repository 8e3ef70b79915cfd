import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { changePricingRule, createPricingRule, type Facets, type PricingRule } from "@/api/generated";
import { facetsQuery, feedsQuery, pricingRulesQuery } from "@/api/queries";
import { useThenRefresh } from "@/api/use-then-refresh";
import { formatCents } from "@/format";
import { Answer } from "@/ui/answer";
import { Button } from "@/ui/button";
import { Choice } from "@/ui/choice";
import { Field } from "@/ui/field";
import { CloseModal, Modal } from "@/ui/modal";
import { tell } from "@/ui/news";
import { Failed } from "@/ui/notices";
import { toggled } from "./diamond-search";
import { withKeptCounts } from "./facet-counts";
import { FacetList } from "./facet-list";
import { isAtFields, problemOf } from "./field-problem";
import { changesOf, draftOf, isChanged, type RuleDraft, ruleOf, withPercent, withRatio } from "./rule-draft";

/** A button that opens the form of a rule; without one, that of a new rule. */
export function RuleEditor({ rule }: { rule?: PricingRule }) {
  const [isOpen, setOpen] = useState(false);
  const [isAsked, setAsked] = useState(false);
  const [draft, setDraft] = useState(() => draftOf(rule));
  const isNew = rule === undefined;
  const close = () => {
    setOpen(false);
    setAsked(false);
  };
  const show = (wanted: boolean) => {
    if (wanted) setDraft(draftOf(rule));
    if (!wanted && isChanged(rule, draft)) setAsked(true);
    else if (wanted) setOpen(true);
    else close();
  };
  return (
    <Modal
      trigger={<Button look={isNew ? "primary" : "plain"}>{isNew ? "Make a rule" : "Edit"}</Button>}
      title={isNew ? "A new price rule" : "Change a price rule"}
      wide
      isOpen={isOpen}
      onOpenChange={show}
      stays
    >
      <RuleForm rule={rule} draft={draft} onChange={setDraft} onSaved={close} />
      {isAsked && <Unsaved onBack={() => setAsked(false)} onLeave={close} />}
    </Modal>
  );
}

function Unsaved({ onBack, onLeave }: { onBack: () => void; onLeave: () => void }) {
  return (
    <div
      role="alert"
      className="flex flex-wrap items-center justify-end gap-2 rounded-md bg-warn-ground p-3 text-warn"
    >
      <p className="mr-auto">What you wrote is not saved.</p>
      <Button look="danger" onClick={onLeave}>
        Throw it away
      </Button>
      <Button look="primary" ref={focusNow} onClick={onBack}>
        Go on writing
      </Button>
    </div>
  );
}

const focusNow = (button: HTMLButtonElement | null) => button?.focus();

interface FormProps extends Props {
  rule: PricingRule | undefined;
  onSaved: () => void;
}

function RuleForm({ rule, draft, onChange, onSaved }: FormProps) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const save = useThenRefresh(pricingRulesQuery.queryKey)(() =>
    rule === undefined
      ? createPricingRule(ruleOf(draft))
      : changePricingRule(rule.id, changesOf(rule, draft)),
  );
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await save();
      onSaved();
      tell(rule === undefined ? "The rule is made." : "The rule is changed.");
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void submit(event)} className="flex flex-col gap-4">
      <Criteria draft={draft} rule={rule} error={error} onChange={onChange} />
      <Outcome draft={draft} onChange={onChange} />
      {error !== null && !isAtFields(error, Object.keys(CARATS)) && <Failed error={error} />}
      <div className="flex justify-end gap-2">
        <CloseModal render={<Button />}>Close</CloseModal>
        <Button type="submit" look="primary" disabled={isBusy}>
          {rule === undefined ? "Make it" : "Save"}
        </Button>
      </div>
    </form>
  );
}

interface Props {
  draft: RuleDraft;
  onChange: (draft: RuleDraft) => void;
}

const CARATS = { caratMin: "Carats from (ct)", caratMax: "Carats to (ct)" };

interface CriteriaProps extends Props {
  rule: PricingRule | undefined;
  /** Why the rule was refused. */
  error: Error | null;
}

/** Only values that stones have are offered, beside those that the rule holds already. */
function Criteria({ draft, rule, error, onChange }: CriteriaProps) {
  const facets = useQuery(facetsQuery({}));
  const feeds = useQuery(feedsQuery);
  const carats = { type: "number", min: 0, max: 9999.99, step: 0.01 } as const;
  return (
    <fieldset className="flex flex-col gap-3">
      <legend className="mb-1 font-medium">For which stones; what is left open matches every stone</legend>
      <Answer of={facets}>
        {(data) => <StoneKinds facets={data} draft={draft} rule={rule} onChange={onChange} />}
      </Answer>
      <div className="grid grid-cols-2 gap-3">
        <Field
          label={CARATS.caratMin}
          {...carats}
          value={draft.caratMin}
          onChange={(caratMin) => onChange({ ...draft, caratMin })}
          problem={problemOf(error, "caratMin", CARATS)}
        />
        <Field
          label={CARATS.caratMax}
          {...carats}
          value={draft.caratMax}
          onChange={(caratMax) => onChange({ ...draft, caratMax })}
          problem={problemOf(error, "caratMax", CARATS)}
        />
      </div>
      <Answer of={feeds} rows={1}>
        {(data) => (
          <Choice
            label="Feed"
            any="every feed"
            options={data.map(({ feed }) => feed)}
            value={draft.feed}
            onChange={(feed) => onChange({ ...draft, feed })}
          />
        )}
      </Answer>
    </fieldset>
  );
}

function StoneKinds({ facets, draft, rule, onChange }: Props & { facets: Facets; rule?: PricingRule }) {
  const known = facets.shape.flatMap(({ value, count }) => (value === null ? [] : [{ value, count }]));
  const shapes = withKeptCounts(known, rule?.shapes ?? []);
  const types = withKeptCounts(
    facets.labGrown.map(({ value, count }) => ({ value: String(value), count })),
    draftOf(rule).types ?? [],
  );
  if (shapes.length === 0 && types.length === 0) {
    return <p className="text-muted">Shapes and types can be chosen once the catalogue has stones.</p>;
  }
  return (
    <div className="grid gap-3 sm:grid-cols-2">
      <FacetList
        label="Shape"
        counts={shapes}
        chosen={draft.shapes ?? []}
        onToggle={(shape) => onChange({ ...draft, shapes: toggled(draft.shapes, shape) })}
      />
      <FacetList
        label="Type"
        counts={types}
        chosen={draft.types ?? []}
        onToggle={(type) => onChange({ ...draft, types: toggled(draft.types, type) })}
      />
    </div>
  );
}

const RATINGS = Array.from({ length: 10 }, (_, index) => String(index + 1));
const EXAMPLE_CENTS = 100_000;

function Outcome({ draft, onChange }: Props) {
  return (
    <fieldset className="flex flex-col gap-3">
      <legend className="mb-1 font-medium">What it makes of them</legend>
      <div className="grid grid-cols-2 items-end gap-3">
        <Field
          label="Markup in percent of the cost"
          type="number"
          min={-99.99}
          max={899.99}
          step={0.01}
          required
          value={draft.percent}
          onChange={(percent) => onChange(withPercent(draft, percent))}
        />
        <Field
          label="The same as a ratio, price to cost"
          type="number"
          min={0.0001}
          max={9.9999}
          step={0.0001}
          required
          value={draft.ratio}
          onChange={(ratio) => onChange(withRatio(draft, ratio))}
        />
      </div>
      {draft.ratio !== "" && (
        <p className="text-muted">
          A stone that costs {formatCents(EXAMPLE_CENTS)} sells for{" "}
          {formatCents(EXAMPLE_CENTS * Number(draft.ratio))}.
        </p>
      )}
      <Choice
        label="Rating"
        any="none"
        options={RATINGS}
        value={draft.rating}
        onChange={(rating) => onChange({ ...draft, rating })}
      />
      <Field
        label="Priority; lower ones are tried first"
        type="number"
        min={-2147483648}
        max={2147483647}
        required
        value={draft.priority}
        onChange={(priority) => onChange({ ...draft, priority })}
      />
    </fieldset>
  );
}
