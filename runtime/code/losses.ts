/**
 * Regions that were lost because bytes were written that they were made from. Code that keeps changing must earn its next region; what is written again and again as a number in an
 * instruction need not cost any more: the next region reads the immediates and displacements that hold those bytes from memory (translator/region/soft-fields.ts).
 */

/** Pages whose patched bytes are remembered: the oldest are forgotten for others. */
const mostPages = 256;
/** Bytes written at once that may be an immediate. */
const longestPatch = 4;
/** How often in a page a loss for such bytes, met for the first time, does not count. */
const mostForgiven = 8;
/** Doublings. */
const mostLosses = 20;

export class Losses {
  /** By physical page number: losses that count, and those that do not. */
  private readonly counted = new Map<number, number>();
  private readonly forgiven = new Map<number, number>();
  /** Bytes that regions were lost for: one bit a byte. */
  private readonly patched = new Map<number, Int32Array>();

  /** A region was lost for bytes [from, to) of a page. @param counts the page that is to show more patience */
  add(page: number, from: number, to: number, counts = page): void {
    if (to - from <= longestPatch && this.patch(page, from, to)) {
      const forgiven = this.forgiven.get(counts) ?? 0;
      this.forgiven.set(counts, forgiven + 1);
      if (forgiven < mostForgiven) return;
    }
    this.counted.set(counts, (this.counted.get(counts) ?? 0) + 1);
  }

  /** By how much the next region of the page is to be earned more dearly: doubled with each loss. */
  patience(page: number): number {
    return 2 ** Math.min(this.counted.get(page) ?? 0, mostLosses);
  }

  isPatched(page: number, offset: number): boolean {
    const bits = this.patched.get(page);
    return bits !== undefined && (bits[offset >>> 5] & (1 << offset)) !== 0;
  }

  /** @returns whether some of the bytes were not known to be */
  private patch(page: number, from: number, to: number): boolean {
    let bits = this.patched.get(page);
    if (bits === undefined) {
      bits = new Int32Array(128);
      if (this.patched.size === mostPages) this.patched.delete(this.patched.keys().next().value as number);
      this.patched.set(page, bits);
    }
    let isNew = false;
    for (let offset = from; offset < to; offset++) {
      if ((bits[offset >>> 5] & (1 << offset)) !== 0) continue;
      bits[offset >>> 5] |= 1 << offset;
      isNew = true;
    }
    return isNew;
  }

  clear(): void {
    this.counted.clear();
    this.forgiven.clear();
    this.patched.clear();
  }
}
