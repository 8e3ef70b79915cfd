import { type DragEvent, useState } from "react";
import type { PricingRule } from "@/api/generated";
import { NOTHING } from "@/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Failed } from "@/ui/notices";
import { type Column, Table } from "@/ui/table";
import { RuleEditor } from "./rule-editor";
import { DeactivateRule, ReactivateRule } from "./rule-steps";
import { type Present, warningsOf } from "./rule-warnings";
import { formatMarkup, stonesOf } from "./rule-words";
import { useMoveRule } from "./use-move-rule";

interface Props {
  /** What is listed, in the order of the priorities. */
  rules: PricingRule[];
  /** The active rules, in the order in which they are tried. */
  tried: PricingRule[];
  present: Present;
  mayChange: boolean;
}

export function RuleTable({ rules, tried, present, mayChange }: Props) {
  const { move, isBusy, news, error } = useMoveRule(tried);
  const drag = useDrag((rule, target) => move(rule, tried.indexOf(target)));
  const steps: Column<PricingRule> = {
    title: "What to do",
    cell: (rule) => (
      <div className="flex gap-2">
        {rule.active && <MoveButtons rule={rule} tried={tried} isBusy={isBusy} onMove={move} />}
        <RuleEditor rule={rule} />
        {rule.active ? (
          <DeactivateRule rule={rule} tried={tried} />
        ) : (
          <ReactivateRule rule={rule} tried={tried} />
        )}
      </div>
    ),
  };
  return (
    <>
      {error !== null && <Failed error={error} />}
      {mayChange && (
        <p aria-live="polite" className="mb-2 min-h-5 text-muted">
          {news}
        </p>
      )}
      <Table
        caption="rules"
        columns={mayChange ? [...columns(tried, present), steps] : columns(tried, present)}
        rows={rules}
        keyOf={(rule) => rule.id}
        rowProps={(rule) => (mayChange && rule.active ? drag(rule) : {})}
      />
    </>
  );
}

const columns = (tried: PricingRule[], present: Present): Column<PricingRule>[] => [
  {
    title: "Tried as",
    cell: (rule) => (rule.active ? tried.indexOf(rule) + 1 : NOTHING),
    numeric: true,
  },
  { title: "Priority", cell: (rule) => rule.priority, numeric: true },
  {
    title: "For which stones",
    cell: (rule) => (
      <div className="min-w-48">
        {stonesOf(rule)}
        {warningsOf(rule, tried, present).map((warning) => (
          <p key={warning} className="mt-1 text-warn">
            {warning}
          </p>
        ))}
      </div>
    ),
  },
  { title: "Ratio", cell: (rule) => rule.markupRatio, numeric: true },
  { title: "Markup", cell: (rule) => formatMarkup(rule.markupRatio), numeric: true },
  { title: "Rating", cell: (rule) => rule.rating ?? "none", numeric: true },
  {
    title: "State",
    cell: (rule) => (
      <Badge tone={rule.active ? "good" : "quiet"}>{rule.active ? "active" : "inactive"}</Badge>
    ),
  },
];

interface MoveProps {
  rule: PricingRule;
  tried: PricingRule[];
  isBusy: boolean;
  onMove: (rule: PricingRule, to: number) => void;
}

/** Never disabled: the one that was pressed keeps the focus, wherever the rule goes. */
function MoveButtons({ rule, tried, isBusy, onMove }: MoveProps) {
  const index = tried.indexOf(rule);
  return (
    <>
      <Button
        aria-label="Move up"
        title="Move up"
        aria-disabled={isBusy || index === 0}
        onClick={() => onMove(rule, index - 1)}
      >
        ↑
      </Button>
      <Button
        aria-label="Move down"
        title="Move down"
        aria-disabled={isBusy || index === tried.length - 1}
        onClick={() => onMove(rule, index + 1)}
      >
        ↓
      </Button>
    </>
  );
}

/** What makes of rows some that can be dragged onto each other; the one above takes the place of the one below. */
function useDrag(onDrop: (rule: PricingRule, target: PricingRule) => void) {
  const [dragged, setDragged] = useState<PricingRule | null>(null);
  const [target, setTarget] = useState<string | null>(null);
  const end = () => {
    setDragged(null);
    setTarget(null);
  };
  return (rule: PricingRule) => ({
    draggable: true,
    className: `cursor-grab ${dragged?.id === rule.id ? "opacity-50" : ""} ${target === rule.id ? "outline-2 -outline-offset-2 outline-accent" : ""}`,
    onDragStart: (event: DragEvent) => {
      // A text that is dragged in the row's dialog comes by here too.
      if (event.target !== event.currentTarget) return;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", stonesOf(rule));
      setDragged(rule);
    },
    onDragOver: (event: DragEvent) => {
      if (dragged === null) return;
      event.preventDefault();
      setTarget(rule.id);
    },
    onDrop: (event: DragEvent) => {
      if (dragged === null) return;
      event.preventDefault();
      onDrop(dragged, rule);
      end();
    },
    onDragEnd: end,
  });
}
