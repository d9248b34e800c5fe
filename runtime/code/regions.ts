/**
 * Regions in place: a translated region takes over the block at its entry by replacing that block's first words with the `region` pseudo-instruction, and gives it back
 * when any byte it was made from is overwritten. Links to the block need not change either way. How they are made: region-making.ts; which: region-policy.ts.
 */
import type { RegionCode, RegionPage } from "../../translator/contract/translator.ts";
import type { WasmImport, WasmLayout } from "../../translator/contract/wasm.ts";
import { type CodeCache, shapeBits } from "./code-cache.ts";
import { type Evictable, Eviction, type RegionLimits } from "./eviction.ts";
import { Losses } from "./losses.ts";
import { wrapping } from "./pseudo-shapes.ts";
import { overlaps, type RangesByPage, rangesByPage, without } from "./ranges.ts";
import type { RegionTargets } from "./region-targets.ts";

export type RegionFunction = (p: number) => number;

export interface Region extends Evictable {
  readonly code: RegionCode;
  readonly run: RegionFunction;
  /** Header of the block it stands in for, and what of that block it replaced: instruction count, first shape number. */
  readonly header: number;
  readonly instructions: number;
  readonly firstShape: number;
  /** What that block's counter of executions was, and how many of these tier 0 did for which no earlier region accounts. */
  readonly executions: number;
  readonly coldExecutions: number;
  /** Its own shape number. */
  readonly shape: number;
  /** Physical addresses that its static exits lead to, with their page offsets relative to the entry's page. */
  readonly exitTo: ReadonlyMap<number, number>;
  /** Functions called were taken in. */
  readonly isDeep: boolean;
  /** How often it was made anew with more in it. */
  readonly growth: number;
  /** Headers of the functions with regions of their own that it was to take in all the same. */
  readonly takesIn: readonly number[];
  /** How often it was made anew because it gave up often. */
  readonly doubted: number;
  /** Bytes it was made from, by physical page number: pairs of page offset and length. */
  readonly ranges: RangesByPage;
  /** Of these, the ones that must stay what they are: it reads the others when it comes to them. */
  readonly fixed: RangesByPage;
  /** What was written of the block that it stands in for, by page offsets: it is to be renewed before it runs again. */
  readonly written: (readonly [number, number])[];
  readonly mode: number;
}

/** What a region is to be beside its code. */
export interface RegionKind extends Pick<Region, "isDeep" | "growth" | "takesIn" | "doubted"> {
  /** The region in whose place it comes. */
  readonly replaces?: Region;
  /** Header of the block for whose sake it is made anew: it belongs into it. */
  readonly wantedBy?: number;
}

/** What V8 makes of a region. */
export interface Compiled {
  /** As `Evictable` has it. */
  readonly module: WebAssembly.Module | undefined;
  /** Makes the function, for a shape number. */
  run(shape: number): RegionFunction;
}

/** Where a region begins. */
export interface RegionPlace extends RegionKind {
  readonly header: number;
  /** Of the block there, physical. */
  readonly address: number;
  readonly mode: number;
  /** The page `k` pages behind the entry's. */
  readonly page: (k: number) => RegionPage | undefined;
}

/** What the dispatcher lends. */
export interface RegionHost {
  /** Shape numbers for regions: each is the handler of its own shape. */
  readonly firstShape: number;
  readonly lastShape: number;
  readonly handlers: ((p: number) => number)[];
  /** Where regions find each other. */
  readonly targets: RegionTargets;
  readonly regionLimits?: Partial<RegionLimits> | undefined;
  readonly addStub: (link: number, offset: number, page: number, wraps: number) => void;
}

/** Functions for the table of handlers, by shape number (execute/wasm-tier.ts). */
export interface RegionCompiler {
  /** What code is made for. */
  readonly layout: WasmLayout;
  addRegion(code: RegionCode, links: number, shape: number): RegionFunction | undefined;
  addCompiled(module: WebAssembly.Module, imports: readonly WasmImport[], name: string, shape: number): RegionFunction;
  addRegionInJavaScript(run: RegionFunction, shape: number): void;
  removeRegion(shape: number): void;
}

const mostDropped = 5;

/** Places in a block that are renewed one by one. */
const mostWritten = 16;

/** In place of a region that is no more; nothing leads there. */
const gone: RegionFunction = () => {
  throw new Error("a region that is gone was entered");
};

const none: readonly Region[] = [];

export class Regions {
  /** Live regions by shape number. */
  readonly live = new Map<number, Region>();
  translated = 0;
  invalidated = 0;
  evicted = 0;
  /** What regions were lost for. */
  readonly losses = new Losses();
  /** Of regions that are no more: times entered, and guest instructions that tier 0 executed in the blocks at their head before. */
  private entriesBefore = 0;
  private executedBefore = 0;
  /** Makes WebAssembly functions of regions, where the host has it. */
  wasm: RegionCompiler | undefined;
  /** Called with each region made, for debuggers and the inspector. */
  made: (region: Region) => void = () => {};

  private readonly cache: CodeCache;
  private readonly lent: RegionHost;
  private nextShape: number;
  /** Characters of the live regions' text. */
  private textLength = 0;
  /** Shape numbers below `nextShape` whose region is gone. */
  private readonly freeShapes: number[] = [];
  private readonly byPage = new Map<number, Region[]>();
  /** Regions by the physical addresses that their static exits lead to. */
  private readonly byExit = new Map<number, Region[]>();
  private readonly eviction: Eviction<Region>;
  /** How often a block's region was dropped for being idle, up to so many times: the next one must be earned by twice as many executions each time. */
  private readonly dropped = new Map<number, number>();

  constructor(cache: CodeCache, lent: RegionHost) {
    this.cache = cache;
    this.lent = lent;
    this.eviction = new Eviction(lent.regionLimits, (region) => this.executions(region));
    this.nextShape = lent.firstShape;
  }

  /** Whether all shape numbers are taken. */
  get isFull(): boolean {
    return this.freeShapes.length === 0 && this.nextShape > this.lent.lastShape;
  }

  /** The one that heads the block at `header`. */
  at(header: number): Region | undefined {
    return this.live.get(this.cache.C[header + 2] & shapeBits);
  }

  /** Those with bytes on a physical page. */
  on(page: number): readonly Region[] {
    return this.byPage.get(page) ?? none;
  }

  /** Those with a static exit to a physical address. */
  leadingTo(address: number): readonly Region[] {
    return this.byExit.get(address) ?? none;
  }

  /** How often the region of the block at `header` was dropped for being idle. */
  timesDropped(header: number): number {
    return this.dropped.get(header) ?? 0;
  }

  /** Puts a region in place. */
  install(place: RegionPlace, code: RegionCode, links: number, compiled: Compiled): Region {
    const { C } = this.cache;
    const { header, address, mode, isDeep, growth, takesIn, doubted, page, replaces, wantedBy } = place;
    const before = replaces !== undefined && this.live.get(replaces.shape) === replaces ? replaces : undefined;
    if (before !== undefined) this.uninstall(before);
    code.exits.forEach((offset, k) => {
      this.lent.addStub(links + k, offset, address & ~0xfff, code.wrapping.has(k) ? wrapping : 0);
    });
    const shape = this.freeShapes.pop() ?? this.nextShape++;
    const run = compiled.run(shape);
    const ranges = rangesByPage(code.ranges, page);
    this.textLength += code.size;
    const executions = C[header + 1] >>> 0;
    const region: Region = {
      code,
      run,
      header,
      instructions: C[header],
      firstShape: C[header + 2] & shapeBits,
      executions,
      coldExecutions: before === undefined ? executions : 0,
      executionsSeen: executions,
      slices: 0,
      use: 0,
      idlePeriods: 0,
      module: compiled.module,
      shape,
      isDeep,
      growth,
      takesIn,
      doubted,
      exitTo: new Map(
        code.exits.flatMap((offset) =>
          page(offset >> 12) === undefined ? [] : [[((page(offset >> 12) as RegionPage).address + (offset & 0xfff)) | 0, offset] as const],
        ),
      ),
      ranges,
      fixed: code.soft.size === 0 ? ranges : rangesByPage(without(code.ranges, code.soft), page),
      written: before?.written ?? [],
      mode,
    };
    this.live.set(shape, region);
    this.evict(this.eviction.beyondLimit(this.live.values(), region, this.textLength));
    this.lent.handlers[shape] = run;
    this.lent.targets.add(shape, address, mode);
    // The region keeps the budget itself: the block counts as none.
    C[header] = 0;
    C[header + 2] = (C[header + 2] & ~shapeBits) | shape;
    for (const [number, ranges] of region.ranges) {
      const onPage = this.byPage.get(number);
      if (onPage === undefined) this.byPage.set(number, [region]);
      else onPage.push(region);
      for (const [offset, length] of ranges) this.cache.coverRange(number, offset, offset + length);
    }
    for (const exit of region.exitTo.keys()) {
      const others = this.byExit.get(exit);
      if (others === undefined) this.byExit.set(exit, [region]);
      else others.push(region);
    }
    this.translated++;
    // Known to have run, but to earn a region of its own it must be entered from elsewhere.
    if (wantedBy !== undefined && !region.exitTo.has(C[wantedBy - 3])) C[wantedBy + 1] = 1;
    this.made(region);
    return region;
  }

  /** Host memory hangs on regions. @param retired guest instructions */
  evictIdle(retired: number): void {
    const idle = this.eviction.idle(this.live.values(), retired, this.textLength);
    for (const { header } of idle) this.dropped.set(header, Math.min(mostDropped, 1 + (this.dropped.get(header) ?? 0)));
    this.evict(idle);
  }

  private evict(regions: readonly Region[]): void {
    for (const region of regions) this.giveBack(region);
    this.evicted += regions.length;
  }

  /** Whether any of bytes [from, to) of a page must stay what it is for some region. */
  covers(page: number, from: number, to: number): boolean {
    const list = this.byPage.get(page);
    return list?.some(({ fixed }) => overlaps(fixed, page, from, to)) === true;
  }

  /** Bytes [from, to) of a page were written: gives the blocks back whose region cannot do with others. True if there were some. */
  invalidate(page: number, from: number, to: number): boolean {
    const list = this.byPage.get(page);
    if (list === undefined) return false;
    const lost = list.filter(({ fixed }) => overlaps(fixed, page, from, to));
    if (lost.length === 0) return false;
    for (const region of lost) this.remove(region);
    this.losses.add(page, from, to);
    return true;
  }

  /**
   * Whether a region that lives on stands in for the block at `header`, of which bytes [from, to), counted from the first of its page, were written: what the block has of them is renewed when
   * it is given back.
   */
  standsOver(header: number, from: number, to: number): boolean {
    const region = this.at(header);
    if (region?.header !== header) return false;
    const { written } = region;
    if (!written.some(([offset, end]) => offset <= from && end >= to)) written.push([from, to]);
    if (written.length > mostWritten) {
      const whole = [Math.min(...written.map(([offset]) => offset)), Math.max(...written.map(([, end]) => end))] as const;
      written.splice(0, written.length, whole);
    }
    return true;
  }

  /** Byte ranges of the page's regions: they count as covered. */
  *rangesOn(page: number): IterableIterator<readonly [number, number]> {
    for (const region of this.byPage.get(page) ?? []) yield* region.ranges.get(page) ?? [];
  }

  /** Times a region was entered through the dispatcher's loop. */
  get entries(): number {
    let sum = this.entriesBefore;
    for (const region of this.live.values()) sum += this.executions(region) - region.executions;
    return sum;
  }

  /** A slice ended at `header`. If a region heads the block: brings the block's counter up to date, which other regions leave alone. */
  settle(header: number): void {
    const region = this.at(header);
    if (region === undefined) return;
    this.executions(region);
    region.slices++;
  }

  /** How often it was entered, modulo 2^32, and its block before. */
  executions({ header, shape }: Region): number {
    const { C } = this.cache;
    C[header + 1] += this.lent.targets.takeEntries(shape);
    return C[header + 1] >>> 0;
  }

  /** Guest instructions that tier 0 executed in blocks that head regions now, or did. */
  get tierZeroInstructions(): number {
    let sum = this.executedBefore;
    for (const { instructions, coldExecutions } of this.live.values()) sum += instructions * coldExecutions;
    return sum;
  }

  private remove(region: Region): void {
    this.giveBack(region);
    this.invalidated++;
  }

  /** The block runs again, as one that never did: what was written of it meanwhile is decoded anew, or else it dies. */
  private giveBack(region: Region): void {
    const { header, written } = region;
    this.uninstall(region);
    this.cache.C[header + 1] = 0;
    if (written.length === 0 || this.cache.C[header - 3] === -1) return;
    if (written.every(([from, to]) => this.cache.renew(header, from, to))) this.cache.giveBack(header);
    else this.cache.kill(header);
  }

  /** Puts the words of the block back. */
  private uninstall(region: Region): void {
    const { C } = this.cache;
    const { header } = region;
    this.entriesBefore += this.executions(region) - region.executions;
    this.executedBefore += region.instructions * region.coldExecutions;
    this.live.delete(region.shape);
    for (const number of region.ranges.keys()) drop(this.byPage, number, region);
    for (const exit of region.exitTo.keys()) drop(this.byExit, exit, region);
    this.textLength -= region.code.size;
    // Guest code that keeps changing must not keep what was made of it alive. The region itself may be running: that is the host's stack's matter.
    this.lent.handlers[region.shape] = gone;
    this.lent.targets.remove(region.shape);
    this.wasm?.removeRegion(region.shape);
    this.freeShapes.push(region.shape);
    C[header] = region.instructions;
    C[header + 2] = (C[header + 2] & ~shapeBits) | region.firstShape;
  }

  /** The block at `header` is no more: what comes in its place is another matter. */
  died(header: number): void {
    this.dropped.delete(header);
  }

  /** The code cache was flushed. */
  clear(): void {
    this.entriesBefore = this.entries;
    this.executedBefore = this.tierZeroInstructions;
    for (const shape of this.live.keys()) {
      this.lent.handlers[shape] = gone;
      this.lent.targets.remove(shape);
      this.wasm?.removeRegion(shape);
    }
    this.live.clear();
    this.textLength = 0;
    this.freeShapes.length = 0;
    this.nextShape = this.lent.firstShape;
    this.byPage.clear();
    this.byExit.clear();
    this.dropped.clear();
    this.losses.clear();
  }
}

function drop(map: Map<number, Region[]>, key: number, region: Region): void {
  const left = (map.get(key) ?? []).filter((other) => other !== region);
  if (left.length === 0) map.delete(key);
  else map.set(key, left);
}
