/**
 * Which regions give their blocks back to tier 0, so that host memory does not grow with every block that a guest ever executed often. All regions together have a limit of text: beyond
 * it go those entered least. And well below it, what has hardly been entered for two periods goes: a shell's guest meets new code for hours, some of it sixteen thousand times, and
 * seldom again (docs/PERFORMANCE.md, memory).
 */
import type { RegionCode } from "../../translator/contract/translator.ts";

export interface RegionLimits {
  /** Characters of text of all live regions: V8 holds seven to eight bytes for each, in what it made of them. */
  readonly text: number;
  /** Up to so many none is too idle. */
  readonly idleText: number;
  /** Guest instructions between looks at which are idle. */
  readonly period: number;
}

export const usualLimits: RegionLimits = { text: 1 << 26, idleText: 1 << 23, period: 2 ** 32 };

/** What is left of the limit by an eviction, and the share of regions that is too young to judge. */
const keptText = 3 / 4;
const youngRegions = 1 / 4;
/** Entries in a period below which a region is idle: on tier 0 they take a third of a millisecond longer. A slice that ends there counts as some: who loops is seldom entered. */
const leastEntries = 2048;
const entriesOfSlice = 256;
/** Idle periods, one behind the other, until it goes. */
const idlePeriods = 2;

/** What is known of a region. */
export interface Evictable {
  readonly code: Pick<RegionCode, "size">;
  /** The WebAssembly that its function is in, perhaps with those of others: its memory is free when all of them are gone. Absent: its own. */
  readonly module: WebAssembly.Module | undefined;
  /** Executions at the end of the last period, and slices that ended at the entry since. */
  executionsSeen: number;
  slices: number;
  /** Entries in periods until then, older ones counting half each time; idle periods, one behind the other. */
  use: number;
  idlePeriods: number;
}

export class Eviction<R extends Evictable> {
  private readonly limits: RegionLimits;
  private readonly executions: (region: R) => number;
  /** Retired guest instructions at the end of the period. */
  private periodEnd: number;

  /** @param executions how often a region was entered, modulo 2^32 */
  constructor(limits: Partial<RegionLimits> | undefined, executions: (region: R) => number) {
    this.limits = { ...usualLimits, ...limits };
    this.executions = executions;
    this.periodEnd = this.limits.period;
  }

  /** Beyond the limit of text: those entered least, the young after the others; but never the newest. @param live in the order they were made */
  beyondLimit(live: Iterable<R>, newest: R, textLength: number): R[] {
    if (textLength <= this.limits.text) return [];
    const use = new Map<R, number>();
    for (const region of live) if (region !== newest) use.set(region, region.use / 2 + this.entries(region));
    const byUse = (list: R[]): R[] => list.sort((a, b) => (use.get(a) as number) - (use.get(b) as number));
    const others = [...use.keys()];
    const young = others.splice(Math.ceil((1 - youngRegions) * others.length));
    const evicted: R[] = [];
    let left = textLength;
    for (const region of [...byUse(others), ...byUse(young)]) {
      if (left <= keptText * this.limits.text) break;
      left -= region.code.size;
      evicted.push(region);
    }
    return evicted;
  }

  /** Once a period: those that are idle, if all that share their memory are. @param retired guest instructions */
  idle(live: Iterable<R>, retired: number, textLength: number): R[] {
    if (retired < this.periodEnd) return [];
    this.periodEnd = retired + this.limits.period;
    const together = new Map<unknown, R[]>();
    for (const region of live) {
      const entries = this.entries(region);
      region.use = region.use / 2 + entries;
      region.executionsSeen = (region.executionsSeen + entries) >>> 0;
      region.idlePeriods = entries + entriesOfSlice * region.slices < leastEntries ? region.idlePeriods + 1 : 0;
      region.slices = 0;
      const owner = region.module ?? region;
      const others = together.get(owner);
      if (others === undefined) together.set(owner, [region]);
      else others.push(region);
    }
    if (textLength <= this.limits.idleText) return [];
    return [...together.values()].filter((list) => list.every((region) => region.idlePeriods >= idlePeriods)).flat();
  }

  private entries(region: R): number {
    return (this.executions(region) - region.executionsSeen) >>> 0;
  }
}
