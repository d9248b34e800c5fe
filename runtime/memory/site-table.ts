/**
 * The sites of regions (contract/sites.ts): what they remember is as good as a TLB entry, so whatever takes back an entry empties the sites that count on it.
 */
import { siteCount, siteTable as siteTableImported, siteWords as siteWordsImported } from "../../translator/contract/sites.ts";
import type { HostMemory } from "./host-memory.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const siteWords = siteWordsImported;
const siteTable = siteTableImported;
/** Words of one half of the TLB (linear.ts). */
const halfSize = 1 << 20;

export class SiteTable {
  readonly SW: Int32Array;
  /** How many are not empty, and behind that their numbers. */
  readonly SL: Int32Array;
  private readonly TR: Int32Array;
  private readonly TW: Int32Array;

  /** @param TR the TLB's entries for reads, `TW` for writes */
  constructor(host: HostMemory, TR: Int32Array, TW: Int32Array) {
    this.TR = TR;
    this.TW = TW;
    this.SW = host.int32(siteWords * siteCount);
    for (let k = 1; k < this.SW.length; k += siteWords) this.SW[k] = -1;
    this.SL = host.int32(siteCount + 1);
  }

  /** Times one was asked in vain. */
  get misses(): number {
    let sum = 0;
    for (let k = 3; k < this.SW.length; k += siteWords) sum += this.SW[k] >>> 0;
    return sum;
  }

  empty(): void {
    const { SW, SL } = this;
    for (let i = SL[0]; i > 0; i--) SW[SL[i] + 1] = -1;
    SL[0] = 0;
  }

  /** Those that the TLB does not bear out any more: what is global stays. */
  emptyForgotten(): void {
    const { SW, SL, TR, TW } = this;
    let left = 0;
    for (let i = 1; i <= SL[0]; i++) {
      const k = SL[i];
      const page = SW[k];
      const table = Math.trunc(k / (siteWords * siteTable));
      const index = (table < 2 ? 0 : halfSize) + (page >>> 12);
      const T = (table & 1) === 0 ? TR[index] : TW[index];
      if ((T & 1) === 0 && (((T ^ page) - page - SW[k + 2]) | 0) === 0) SL[++left] = k;
      else SW[k + 1] = -1;
    }
    SL[0] = left;
  }

  /** Those of the page at linear address `A`. */
  emptyOnPage(A: number): void {
    const { SW, SL } = this;
    for (let i = SL[0]; i > 0; i--) if ((SW[SL[i]] ^ A) >>> 12 === 0) this.drop(i);
  }

  /** Those of the page at `place` in guest memory, whatever its linear addresses. */
  emptyAtPlace(place: number): void {
    const { SW, SL } = this;
    for (let i = SL[0]; i > 0; i--) {
      const k = SL[i];
      if (((SW[k] + SW[k + 2]) ^ place) >>> 12 === 0) this.drop(i);
    }
  }

  private drop(i: number): void {
    const { SW, SL } = this;
    SW[SL[i] + 1] = -1;
    SL[i] = SL[SL[0]--];
  }
}
