import type { DensityRange, ScannedPartition } from "@/api/generated";
import { formatCount, formatDollars, formatRange, formatStones } from "@/format";
import {
  bandsOf,
  barsOf,
  type DensityBar,
  type PartitionBand,
  scaleOf,
  type Tick,
  ticksOf,
} from "./price-density";

/** What the drawing is measured in; it is stretched to whatever room there is. */
const WIDTH = 1_000;
const HEIGHT = 100;

const TYPES = [
  { labGrown: false, name: "Natural" },
  { labGrown: true, name: "Lab-grown" },
];

const totalOf = (ranges: DensityRange[], labGrown: boolean): number =>
  ranges.reduce((sum, range) => sum + (range.labGrown === labGrown ? range.count : 0), 0);

interface Props {
  ranges: DensityRange[];
  partitions: ScannedPartition[];
}

/** Both types on one axis and in one measure, so that their areas compare. */
export function DensityPlot({ ranges, partitions }: Props) {
  const scale = scaleOf(ranges);
  const ticks = ticksOf(scale);
  const bars = barsOf(scale, ranges);
  const bands = bandsOf(scale, partitions);
  const most = Math.max(1, ...bars.map(({ perDoubling }) => perDoubling));
  const uncut = TYPES.filter(
    (type) => ranges.filter((range) => range.labGrown === type.labGrown).length === 1,
  );
  const shown = TYPES.filter(({ labGrown }) => ranges.some((range) => range.labGrown === labGrown));
  return (
    <div className="flex flex-col gap-4">
      {uncut.map(({ labGrown, name }) => (
        <p key={name} className="text-muted">
          {name}: one count was enough, as {formatStones(totalOf(ranges, labGrown))} are not cut any finer.
          How they are spread inside it was not asked.
        </p>
      ))}
      {shown.map(({ labGrown, name }) => (
        <TypePlot
          key={name}
          name={name}
          ticks={ticks}
          bars={bars.filter(({ range }) => range.labGrown === labGrown)}
          bands={bands.filter(({ partition }) => partition.labGrown === labGrown)}
          most={most}
        />
      ))}
      <p className="text-xs text-muted">
        The area of a bar is its number of stones; the highest stands for {formatCount(Math.round(most))} in
        each doubling of the price. What is open at an end is drawn as one doubling.
        {bands.length > 0 && " Dashed lines are the borders of partitions."}
      </p>
    </div>
  );
}

interface TypeProps {
  name: string;
  ticks: Tick[];
  bars: DensityBar[];
  bands: PartitionBand[];
  most: number;
}

function TypePlot({ name, ticks, bars, bands, most }: TypeProps) {
  return (
    <figure>
      <figcaption className="mb-1 font-medium">{name}</figcaption>
      <div className="px-7">
        <svg
          role="img"
          aria-label={`${name} stones by price; the tables below hold the numbers`}
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          preserveAspectRatio="none"
          className="h-32 w-full border-b border-muted md:h-44"
        >
          {bands.map(({ partition, from, to }) => (
            <rect
              key={partition.partitionId}
              x={WIDTH * from}
              width={WIDTH * (to - from)}
              height={HEIGHT}
              className="fill-transparent hover:fill-raised"
            >
              <title>
                {`${partition.partitionId}: ${formatRange(partition.minPrice, partition.maxPrice)}, ${formatStones(partition.totalRecords)} expected`}
              </title>
            </rect>
          ))}
          {ticks.map(({ price, at }) => (
            <Upright key={price} at={at} className="stroke-line" />
          ))}
          {bars.map(({ range, from, to, perDoubling }) => (
            <rect
              key={range.minPrice}
              x={WIDTH * from}
              width={WIDTH * (to - from)}
              y={HEIGHT * (1 - perDoubling / most)}
              height={(HEIGHT * perDoubling) / most}
              className="fill-accent/60 hover:fill-accent"
            >
              <title>{`${formatRange(range.minPrice, range.maxPrice)}: ${formatStones(range.count)}`}</title>
            </rect>
          ))}
          {bands
            .filter(({ from }) => from > 0)
            .map(({ partition, from }) => (
              <Upright key={partition.partitionId} at={from} className="stroke-text" dashes="4 3" />
            ))}
        </svg>
        <TickLabels ticks={ticks} />
      </div>
    </figure>
  );
}

function Upright({ at, className, dashes }: { at: number; className: string; dashes?: string }) {
  return (
    <line
      x1={WIDTH * at}
      x2={WIDTH * at}
      y2={HEIGHT}
      vectorEffect="non-scaling-stroke"
      strokeDasharray={dashes}
      className={`pointer-events-none ${className}`}
    />
  );
}

/** Beside the drawing, which is stretched, so that they keep their size. */
function TickLabels({ ticks }: { ticks: Tick[] }) {
  return (
    <div aria-hidden className="relative mt-1 h-4 text-xs text-muted">
      {ticks.map(({ price, at, isMain }) => (
        <span
          key={price}
          className={`absolute -translate-x-1/2 ${isMain ? "" : "hidden xl:inline"}`}
          style={{ left: `${100 * at}%` }}
        >
          {formatDollars(price)}
        </span>
      ))}
    </div>
  );
}
