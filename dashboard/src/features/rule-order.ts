import type { PricingRule } from "@/api/generated";

export type Ranked = Pick<PricingRule, "id" | "priority">;

/** How far apart new numbers stand where there is room, so that the next rule finds a free one between. */
const STEP = 10;
const LOWEST = -(2 ** 31);
const HIGHEST = 2 ** 31 - 1;

/** Lower priorities first, equal ones in the order of their ids, as the API tries them. */
export const isTriedBefore = (one: Ranked, other: Ranked): boolean =>
  one.priority < other.priority || (one.priority === other.priority && one.id < other.id);

export function reordered<Item>(items: readonly Item[], from: number, to: number): Item[] {
  const others = items.filter((_, index) => index !== from);
  return [...others.slice(0, to), ...items.slice(from, from + 1), ...others.slice(to)];
}

/**
 * Which rules get which priority so that the one at `from` stands at `to`: as few rules as possible, and each
 * of them a number that no other has.
 *
 * They are to be saved in this order: the other rules keep their order among themselves after each, and the
 * moved rule, which comes last, is at no time further from its new place than before.
 */
export function planMove(rules: readonly Ranked[], from: number, to: number): Ranked[] {
  const movedId = rules[from]?.id;
  const changes = renumbered(reordered(rules, from, to), movedId);
  const before = new Map(rules.map(({ id, priority }) => [id, priority]));
  const isRaised = ({ id, priority }: Ranked) => priority > (before.get(id) ?? priority);
  const others = changes.filter(({ id }) => id !== movedId);
  return [
    ...others.filter(isRaised).reverse(),
    ...others.filter((change) => !isRaised(change)),
    ...changes.filter(({ id }) => id === movedId),
  ];
}

/** The rules that need another number for this order to hold, with the number. */
function renumbered(wanted: readonly Ranked[], movedId: string | undefined): Ranked[] {
  const line = [{ id: "", priority: LOWEST - 1 }, ...wanted, { id: "", priority: HIGHEST + 1 }];
  const kept = keptOf(line, movedId);
  return kept.slice(1).flatMap((end, index) => {
    const start = kept[index] ?? 0;
    const between = line.slice(start + 1, end);
    const numbers = spread(priorityAt(line, start), priorityAt(line, end), between.length);
    return between.map(({ id }, place) => ({ id, priority: numbers[place] ?? 0 }));
  });
}

/**
 * Where in the line the rules stand that can keep their number, with both ends of the line: the cheapest way
 * from one end to the other, over rules between which there are numbers enough for those that are left out.
 */
function keptOf(line: readonly Ranked[], movedId: string | undefined): number[] {
  const ways = line.map((_, index) => ({ cost: index === 0 ? 0 : Number.POSITIVE_INFINITY, over: 0 }));
  line.forEach((end, index) => {
    const way = ways[index];
    let skipped = 0;
    for (let start = index - 1; way !== undefined && start >= 0; start -= 1) {
      const { cost } = ways[start] ?? way;
      const first = line[start] ?? end;
      if (canKeep(first, end, index - start - 1) && cost + skipped < way.cost) {
        Object.assign(way, { cost: cost + skipped, over: start });
      }
      // Of two ways with as many changes, the one that changes the rule that was moved.
      skipped += first.id === movedId ? 1 : 2;
    }
  });
  const kept = [line.length - 1];
  while (kept[0] !== 0) kept.unshift(ways[kept[0] ?? 0]?.over ?? 0);
  return kept;
}

const canKeep = (one: Ranked, other: Ranked, between: number): boolean =>
  between === 0 ? isTriedBefore(one, other) : other.priority - one.priority > between;

const priorityAt = (line: readonly Ranked[], index: number): number => line[index]?.priority ?? 0;

/** Numbers between these two, evenly; beside an end of the line, in steps from the other. */
function spread(after: number, before: number, count: number): number[] {
  const room = STEP * (count + 1);
  const isOpenBelow = after < LOWEST;
  const isOpenAbove = before > HIGHEST;
  const openStart = isOpenAbove ? 0 : Math.max(after, before - room);
  const start = isOpenBelow ? openStart : after;
  const end = isOpenAbove ? Math.min(before, start + room) : before;
  const step = Math.floor((end - start) / (count + 1));
  return Array.from({ length: count }, (_, index) => start + step * (index + 1));
}
