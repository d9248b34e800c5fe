/**
 * Instructions at which regions gave up often (translator/contract/sites.ts): a structure or a stack frame lies across the end of a page, or on a page with code. To give up costs some ten
 * nanoseconds and what tier 0 does until it meets a region again, not to be able to a fraction of a nanosecond for each access: the next regions ask one by one there. What makes one instruction give up does so at others near it: a region that is made anew
 * for one asks one by one wherever that happened at times.
 */

/** Times that it takes: code that only did so in one short-lived process is left alone. */
export const often = 256;
const atTimes = 16;
/** Instructions that are remembered: all are forgotten for others. */
const mostInstructions = 1 << 14;

export class Doubts {
  /** How often regions gave up, by physical address. */
  private readonly times = new Map<number, number>();

  /** A region gave up at the instruction at `address`. @returns whether that was often, once more */
  add(address: number): boolean {
    const times = (this.times.get(address) ?? 0) + 1;
    if (times === 1 && this.times.size === mostInstructions) this.times.clear();
    this.times.set(address, times);
    return times % often === 0;
  }

  has(address: number): boolean {
    return (this.times.get(address) ?? 0) >= atTimes;
  }

  clear(): void {
    this.times.clear();
  }
}
