import type { ReactNode } from "react";
import type { Facets } from "@/api/generated";
import { Bounds } from "@/ui/bounds";
import { Button } from "@/ui/button";
import { Histogram } from "@/ui/histogram";
import {
  activeFilters,
  boundsOf,
  type DiamondSearch,
  FACETS,
  formatBound,
  formatBounds,
  RANGES,
  toggled,
  writtenBounds,
} from "./diamond-search";
import { wordsOf } from "./facet-counts";
import { FacetList } from "./facet-list";

export interface FilterProps {
  search: DiamondSearch;
  /** A slider's name is told with what it changes. */
  onChange: (change: Partial<DiamondSearch>, slider?: string) => void;
}

interface BoxProps {
  search: DiamondSearch;
  isWide: boolean;
  onClear: () => void;
  children: ReactNode;
}

/** On a phone the stones come first, and the filters when they are asked for. */
export function FilterBox({ search, isWide, onClear, children }: BoxProps) {
  const count = activeFilters(search).length;
  return (
    <details open={isWide} className="rounded-lg border border-line bg-surface p-4">
      <summary className="font-semibold">Filters{count > 0 && ` (${count})`}</summary>
      <div className="mt-3 flex flex-col gap-4">
        {children}
        <Button onClick={onClear}>Clear all filters</Button>
      </div>
    </details>
  );
}

export function Filters({ facets, search, onChange }: FilterProps & { facets: Facets }) {
  return (
    <>
      {RANGES.map((range) => (
        <div key={range.label}>
          <Histogram
            label={range.label}
            bars={facets[range.counts]}
            min={search[range.min]}
            max={search[range.max]}
            format={(bound) => formatBound(range, bound)}
            onChange={(min, max) => onChange({ [range.min]: min, [range.max]: max }, range.label)}
          />
          <Bounds
            label={range.label}
            unit={range.unit}
            {...writtenBounds(search, range)}
            onChange={(min, max) => onChange(boundsOf(range, min, max))}
          />
        </div>
      ))}
      {FACETS.map(({ parameter, counts, label }) => (
        <FacetList
          key={parameter}
          label={label}
          counts={facets[counts]}
          chosen={search[parameter] ?? []}
          onToggle={(value) => onChange({ [parameter]: toggled(search[parameter], value) })}
        />
      ))}
    </>
  );
}

export function Chips({ search, onChange }: FilterProps) {
  const active = activeFilters(search);
  if (active.length === 0) return null;
  return (
    <ul aria-label="Filters that are set" className="flex flex-wrap gap-2">
      {active.map(({ label, value, change }) => {
        const words = `${label}: ${typeof value === "string" ? wordsOf(value) : formatBounds(value)}`;
        return (
          <li key={words}>
            <Button aria-label={`Without ${words}`} onClick={() => onChange(change)}>
              {words} ✕
            </Button>
          </li>
        );
      })}
    </ul>
  );
}
