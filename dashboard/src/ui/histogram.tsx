import { Slider } from "@base-ui/react/slider";
import { useState } from "react";

export interface HistogramBar {
  from: number;
  to: number | null;
  count: number;
}

interface Props {
  label: string;
  bars: HistogramBar[];
  min: number | undefined;
  max: number | undefined;
  format: (value: number) => string;
  /** The bounds of the last bars that are still taken; undefined has no bound. */
  onChange: (min: number | undefined, max: number | undefined) => void;
}

/** How many stones there are at which value, and a slider over the same bars to keep some of them. */
export function Histogram({ label, bars, min, max, format, onChange }: Props) {
  const [moving, setMoving] = useState<[number, number] | null>(null);
  const most = Math.max(1, ...bars.map(({ count }) => count));
  const chosen = moving ?? [firstBar(bars, min), lastBar(bars, max)];
  const [first, last] = chosen;
  // What is set is told as it is, though it may stand within a bar.
  const from = moving === null && min !== undefined ? min : bars[first]?.from;
  const to = moving === null && max !== undefined ? max : boundOf(bars, last);
  return (
    <fieldset>
      <legend className="flex w-full justify-between gap-2 font-medium">
        <span>{label}</span>
        <span className="font-normal text-muted">
          {from === undefined ? "" : format(from)} – {to === undefined ? "any" : format(to)}
        </span>
      </legend>
      <div aria-hidden className="mt-2 flex h-12 items-end gap-px">
        {bars.map((bar, index) => (
          <span
            key={bar.from}
            className={`flex-1 rounded-t-sm ${index >= first && index < last ? "bg-accent" : "bg-line"}`}
            style={{ height: bar.count === 0 ? 0 : `${Math.max(4, (100 * bar.count) / most)}%` }}
          />
        ))}
      </div>
      <Slider.Root
        value={chosen}
        min={0}
        max={bars.length}
        minStepsBetweenValues={1}
        onValueChange={(value) => setMoving(value as [number, number])}
        onValueCommitted={(value) => {
          const [low, high] = value as [number, number];
          setMoving(null);
          onChange(
            low === 0 ? undefined : bars[low]?.from,
            high === bars.length ? undefined : boundOf(bars, high),
          );
        }}
      >
        <Slider.Control className="flex h-6 touch-none items-center px-2">
          <Slider.Track className="h-1 w-full rounded bg-line">
            <Slider.Indicator className="rounded bg-accent" />
            {([0, 1] as const).map((index) => (
              <Slider.Thumb
                key={index}
                index={index}
                getAriaLabel={() => `${label} ${index === 0 ? "from" : "to"}`}
                getAriaValueText={(_text, value) => textOf(bars, value, format)}
                className="size-4 rounded-full border-2 border-accent bg-surface has-focus-visible:outline-2"
              />
            ))}
          </Slider.Track>
        </Slider.Control>
      </Slider.Root>
    </fieldset>
  );
}

/** Where the chosen part begins, from 0; and behind which bar it ends. */
export const firstBar = (bars: HistogramBar[], min: number | undefined): number =>
  min === undefined
    ? 0
    : Math.max(
        0,
        bars.findLastIndex(({ from }) => from <= min),
      );

export function lastBar(bars: HistogramBar[], max: number | undefined): number {
  const index = max === undefined ? -1 : bars.findIndex(({ to }) => to !== null && to >= max);
  return index < 0 ? bars.length : index + 1;
}

const boundOf = (bars: HistogramBar[], end: number): number | undefined => bars[end - 1]?.to ?? undefined;

const textOf = (bars: HistogramBar[], edge: number, format: (value: number) => string): string => {
  const bar = bars[edge];
  return bar === undefined ? "any" : format(bar.from);
};
