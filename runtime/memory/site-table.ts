/**
 * The sites of regions (contract/sites.ts): what they remember is as good as a TLB entry, so whatever takes back an entry empties the sites that count on it.
 *
 * A write of CR3 takes back what is not global, and is frequent. A site that one left as it was counts on a global entry, and no later one need look at it: it is *kept*, in a
 * list of its own, until it is emptied or remembers another page.
 */
import {
  siteCount,
  siteList as siteListImported,
  siteTable as siteTableImported,
  siteWords as siteWordsImported,
} from "../../translator/contract/sites.ts";
import type { HostMemory } from "./host-memory.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const siteWords = siteWordsImported;
const siteTable = siteTableImported;
const { marks, markMask, state, listed, words } = siteListImported;
/** Words of one half of the TLB (linear.ts). */
const halfSize = 1 << 20;
/** Of a site's state: it is in the list of those kept. */
const kept = 2;

export class SiteTable {
  readonly SW: Int32Array;
  readonly SL: Int32Array;
  private readonly TR: Int32Array;
  private readonly TW: Int32Array;
  private readonly keptSites = new Int32Array(siteCount);
  private keptCount = 0;

  /** @param TR the TLB's entries for reads, `TW` for writes */
  constructor(host: HostMemory, TR: Int32Array, TW: Int32Array) {
    this.TR = TR;
    this.TW = TW;
    this.SW = host.int32(siteWords * siteCount);
    for (let k = 1; k < this.SW.length; k += siteWords) this.SW[k] = -1;
    this.SL = host.int32(words);
  }

  /** Times one was asked in vain. */
  get misses(): number {
    let sum = 0;
    for (let k = 3; k < this.SW.length; k += siteWords) sum += this.SW[k] >>> 0;
    return sum;
  }

  empty(): void {
    const { SL } = this;
    for (let i = SL[0]; i > 0; i--) this.dropListed(i);
    for (let i = this.keptCount; i > 0; i--) this.dropKept(i - 1);
    SL.fill(0, marks, marks + markMask + 1);
  }

  /** Those that the TLB does not bear out any more: what is global stays. */
  emptyForgotten(): void {
    const { SW, SL, TR, TW, keptSites } = this;
    for (let i = SL[0]; i > 0; i--) {
      const k = SL[i];
      const page = SW[k];
      const table = Math.trunc(k / (siteWords * siteTable));
      const index = (table < 2 ? 0 : halfSize) + (page >>> 12);
      const T = (table & 1) === 0 ? TR[index] : TW[index];
      const at = state + (k >>> 2);
      if ((T & 1) !== 0 || (((T ^ page) - page - SW[k + 2]) | 0) !== 0) SW[k + 1] = -1;
      else if ((SL[at] & kept) === 0) {
        keptSites[this.keptCount++] = k;
        SL[at] |= kept;
      }
      SL[at] &= ~listed;
    }
    SL[0] = 0;
  }

  /** Those of the page at linear address `A`. */
  emptyOnPage(A: number): void {
    const { SW, SL, keptSites } = this;
    const mark = marks + ((A >>> 12) & markMask);
    if (SL[mark] === 0) return;
    let others = 0;
    for (let i = SL[0]; i > 0; i--) {
      const difference = (SW[SL[i]] ^ A) >>> 12;
      if (difference === 0) this.dropListed(i);
      else if ((difference & markMask) === 0) others = 1;
    }
    for (let i = this.keptCount - 1; i >= 0; i--) {
      const difference = (SW[keptSites[i]] ^ A) >>> 12;
      if (difference === 0) this.dropKept(i);
      else if ((difference & markMask) === 0) others = 1;
    }
    SL[mark] = others;
  }

  /** Those of the page at `place` in guest memory, whatever its linear addresses. */
  emptyAtPlace(place: number): void {
    const { SW, SL, keptSites } = this;
    const isThere = (k: number): boolean => ((SW[k] + SW[k + 2]) ^ place) >>> 12 === 0;
    for (let i = SL[0]; i > 0; i--) if (isThere(SL[i])) this.dropListed(i);
    for (let i = this.keptCount - 1; i >= 0; i--) if (isThere(keptSites[i])) this.dropKept(i);
  }

  /** Empties the `i`th of the list. */
  private dropListed(i: number): void {
    const { SW, SL } = this;
    const k = SL[i];
    SW[k + 1] = -1;
    SL[state + (k >>> 2)] &= ~listed;
    SL[i] = SL[SL[0]--];
  }

  private dropKept(i: number): void {
    const { SW, SL, keptSites } = this;
    const k = keptSites[i];
    SW[k + 1] = -1;
    SL[state + (k >>> 2)] &= ~kept;
    keptSites[i] = keptSites[--this.keptCount];
  }
}
