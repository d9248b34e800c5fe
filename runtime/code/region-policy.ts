/**
 * Which code gets regions, and at what price: how often a block must have run for one, and which regions are made anew, with what was cold before, the functions that they call, or more care
 * for what they gave up at.
 */
import { type CodeCache, modeMask } from "./code-cache.ts";
import { includes } from "./ranges.ts";
import type { RegionMaking, Surroundings } from "./region-making.ts";
import type { Regions } from "./regions.ts";

/** Times a CALL is seen at the ends of slices until its function is taken in; instructions of that function's region, and such functions in a region, at most. */
const oftenCalled = 256;
const largestTakenIn = 120;
const mostTakenIn = 4;

const maximumGrowth = 1;
/** Instructions above which a region is not made anew for more. */
const largestGrowing = 200;
const insidePatience = 16;

export class RegionPolicy {
  /** Times a region left an instruction to tier 0. */
  givenUp = 0;

  private readonly cache: CodeCache;
  private readonly regions: Regions;
  private readonly making: RegionMaking;
  /** Blocks that computed jumps went to: a bit for each word of the code array, set at their headers. */
  private readonly entered: Int32Array;
  /** How often CALLs of regions were seen at the ends of slices, by their physical addresses. */
  private readonly timesCalled = new Map<number, number>();

  constructor(cache: CodeCache, regions: Regions, making: RegionMaking) {
    this.cache = cache;
    this.regions = regions;
    this.making = making;
    this.entered = new Int32Array((cache.C.length >>> 5) + 1);
  }

  /** A computed jump went to the block at `header`. */
  noteEntered(header: number): void {
    this.entered[header >>> 5] |= 1 << header;
  }

  /**
   * By how much the threshold of executions is raised for the block at `header`: doubled with each region lost on its page, and by more for code in the middle of a
   * region, which tier 0 only runs until it meets a region's entry. What leads into that code (a return site, a region's exit) should get the region instead.
   */
  patience(header: number): number {
    const address = this.cache.C[header - 3];
    const page = address >>> 12;
    const losses = this.regions.losses.patience(page) * 2 ** this.regions.timesDropped(header);
    if (this.regions.leadingTo(address).length !== 0 || (this.entered[header >>> 5] & (1 << header)) !== 0) return losses;
    const offset = address & 0xfff;
    const isInside = this.making.isAskedFor(page, offset) || this.regions.on(page).some(({ ranges }) => includes(ranges, page, offset));
    return isInside ? insidePatience * losses : losses;
  }

  /**
   * The block at `header` is hot: translates the code from it on. If a deep region leaves to it, that one is made anew instead, for what was cold when it was made
   * belongs to it; two regions would share most of their code.
   */
  make(header: number, around: Surroundings, isDeep = false): void {
    const { C } = this.cache;
    const address = C[header - 3];
    for (const region of this.regions.leadingTo(address)) {
      // An `edge` region has no other pages around it.
      if (
        region.mode !== (C[header - 2] & modeMask) ||
        around.within !== undefined ||
        !region.isDeep ||
        region.growth === maximumGrowth ||
        region.code.instructions > largestGrowing
      )
        continue;
      const exit = region.exitTo.get(address) as number;
      const shift = exit >> 12;
      // Another mapping of the same code, with other pages around it?
      if (around.page(-shift)?.address !== (C[region.header - 3] & ~0xfff) >>> 0) continue;
      const base = (around.base + (address & 0xfff) - exit) | 0;
      const others = { ...around, base, page: (k: number) => around.page(k - shift) };
      const grown = this.making.make(region.header, others, {
        isDeep: true,
        growth: region.growth + 1,
        takesIn: region.takesIn,
        doubted: region.doubted,
        replaces: region,
        wantedBy: header,
      });
      if (grown === undefined || (grown !== "asked for" && grown.exitTo.has(address))) break;
      return;
    }
    this.making.make(header, around, { isDeep, growth: 0, takesIn: [], doubted: 0 });
  }

  /** The region at `header` is entered so often that the calls it makes are worth taking in: makes it anew, deep. */
  deepen(header: number, around: () => Surroundings): void {
    const region = this.regions.at(header);
    if (region === undefined || region.isDeep) return;
    this.making.make(header, around(), { isDeep: true, growth: 0, takesIn: [], doubted: region.doubted, replaces: region });
  }

  /**
   * The region at `header` was about to be entered by a CALL when a slice ended. Where that is seen often, the caller's region takes the function in, although it has a region of its own, or would not be
   * worth it with all the others that the caller calls.
   * @param call page offset of the CALL in physical page `page`; @param around of an entry, for where the CALL is relative to the entry's page
   */
  called(header: number, page: number, call: number, around: (header: number, offset: number) => Surroundings | undefined): void {
    const callee = this.regions.at(header);
    if (callee === undefined || callee.code.instructions > largestTakenIn) return;
    const place = page * 0x1000 + call;
    const times = (this.timesCalled.get(place) ?? 0) + 1;
    this.timesCalled.set(place, times);
    if (times !== oftenCalled) return;
    const callers = this.regions.on(page).filter((region) => region !== callee && region.mode === callee.mode && includes(region.ranges, page, call));
    const [caller] = callers.sort((a, b) => this.regions.executions(b) - this.regions.executions(a));
    if (caller === undefined || caller.takesIn.length === mostTakenIn) return;
    // On which of its pages the CALL is: where its entry's page is then.
    const distances = new Set(caller.code.ranges.map(([offset]) => offset & ~0xfff));
    const found = [...distances].map((distance) => around(caller.header, distance + call)).find((at) => at !== undefined);
    if (found === undefined) return;
    this.making.make(caller.header, found, {
      isDeep: caller.isDeep,
      growth: caller.growth,
      takesIn: [...caller.takesIn, header],
      doubted: caller.doubted,
      replaces: caller,
    });
  }

  /**
   * A region gave up at the instruction at physical address `address` (contract/sites.ts). Where that happens often, those that have it are made anew.
   * @param around of an entry, for where the instruction is relative to the entry's page
   */
  gaveUp(address: number, around: (header: number, offset: number) => Surroundings | undefined): void {
    this.givenUp++;
    if (!this.making.doubts.add(address)) return;
    const page = address >>> 12;
    const at = address & 0xfff;
    for (const region of [...this.regions.on(page)]) {
      if (!includes(region.ranges, page, at)) continue;
      const { header, isDeep, growth, takesIn, doubted, code } = region;
      const distances = new Set(code.ranges.map(([offset]) => offset & ~0xfff));
      for (const distance of distances) {
        const found = code.doubtful.has(distance + at) ? undefined : around(header, distance + at);
        if (found === undefined) continue;
        this.making.make(header, found, { isDeep, growth, takesIn, doubted: doubted + 1, replaces: region });
        break;
      }
    }
  }

  /** The code cache was flushed. */
  clear(): void {
    this.entered.fill(0);
    this.timesCalled.clear();
  }
}
