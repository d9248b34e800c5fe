/**
 * Regions in place: a translated region takes over the block at its entry by replacing that block's first words with the `region` pseudo-instruction, and gives it back
 * when any byte it was made from is overwritten. Links to the block need not change either way.
 */
import { mode as modes } from "../../translator/contract/mode-key.ts";
import { faultPlace } from "../../translator/contract/slots.ts";
import type { RegionCode, RegionPage, Translator } from "../../translator/contract/translator.ts";
import { type CodeCache, modeMask, shapeBits } from "./code-cache.ts";
import { compile, type HostNames } from "./compile.ts";
import { wrapping } from "./pseudo-shapes.ts";

export type RegionFunction = (p: number) => number;

export interface Region {
  readonly code: RegionCode;
  readonly run: RegionFunction;
  /** Header of the block it stands in for, and what of that block it replaced: instruction count, first shape number. */
  readonly header: number;
  readonly instructions: number;
  readonly firstShape: number;
  /** Executions of that block before. */
  readonly executions: number;
  /** Its own shape number. */
  readonly shape: number;
  /** Physical addresses that its static exits lead to, with their page offsets relative to the entry's page. */
  readonly exitTo: ReadonlyMap<number, number>;
  /** Functions called were taken in. */
  readonly isDeep: boolean;
  /** How often it was made anew with more in it. */
  readonly growth: number;
  /** Bytes it was made from, by physical page number: pairs of page offset and length. */
  readonly ranges: ReadonlyMap<number, readonly (readonly [number, number])[]>;
  readonly mode: number;
}

/** What the dispatcher lends. */
export interface RegionHost {
  /** Shape numbers for regions: each is the handler of its own shape. */
  readonly firstShape: number;
  readonly lastShape: number;
  readonly handlers: ((p: number) => number)[];
  /** Guest instructions that a region must have. */
  readonly smallestRegion: number;
  /** Regions call regions. */
  readonly callsSubroutines: boolean;
  /** Executions of the code behind a CALL from which on it is taken in with the caller. */
  readonly hotCall: number;
  readonly addStub: (link: number, offset: number, page: number, wraps: number) => void;
}

/** Functions for the table of handlers, by shape number (execute/wasm-tier.ts). */
export interface RegionCompiler {
  addRegion(code: RegionCode, links: number, shape: number): RegionFunction | undefined;
  addRegionInJavaScript(run: RegionFunction, shape: number): void;
  removeRegion(shape: number): void;
}

/** Where the guest is when it wants a region. */
export interface Surroundings {
  /** EIP of the first byte of the entry's page. */
  readonly base: number;
  /** The page `k` pages behind that, if the instruction TLB leads to RAM there. */
  page(k: number): RegionPage | undefined;
  /** The word at a linear address, if the data TLB leads there. */
  word(linear: number): number | undefined;
  segmentBase(s: number): number;
  /** Of an `edge` page: the offsets that lie in the code segment, from the first to before the second. */
  readonly within?: readonly [number, number] | undefined;
}

const maximumGrowth = 1;
/** Instructions above which a region is not made anew for more. */
const largestGrowing = 200;
const insidePatience = 16;
/** Instructions of a region up to which other regions may have its code too. */
const largestShared = 60;

/** Pages around the entry's that code is taken from. */
const maximumReach = (1 << (faultPlace.offsetBits - 13)) - 8;

/** Characters of text: V8 holds seven to eight bytes for each, in the text, its copy of it, and what it made of it (docs/PERFORMANCE.md). */
const maximumText = 1 << 26;

/** In place of a region that is no more; nothing leads there. */
const gone: RegionFunction = () => {
  throw new Error("a region that is gone was entered");
};

export class Regions {
  /** Live regions by shape number. */
  readonly live = new Map<number, Region>();
  /** Blocks that computed jumps went to: a bit for each word of the code array, set at their headers. */
  private readonly entered: Int32Array;
  translated = 0;
  invalidated = 0;
  /** Of regions that are no more: times entered, and guest instructions that tier 0 executed in the blocks at their head before. */
  private entriesBefore = 0;
  private executedBefore = 0;
  /** Host milliseconds spent translating and handing text to V8. */
  milliseconds = 0;
  /** Makes WebAssembly functions of regions, where the host has it. */
  wasm: RegionCompiler | undefined;
  /** Called with each region made, for debuggers and the inspector. */
  made: (region: Region) => void = () => {};

  private readonly cache: CodeCache;
  private readonly translator: Translator;
  private readonly host: HostNames;
  private readonly lent: RegionHost;
  private nextShape: number;
  /** Characters of the live regions' text. */
  private textLength = 0;
  /** Shape numbers below `nextShape` whose region is gone. */
  private readonly freeShapes: number[] = [];
  private readonly byPage = new Map<number, Region[]>();
  /** Regions by the physical addresses that their static exits lead to. */
  private readonly byExit = new Map<number, Region[]>();
  /** How often regions of a page were lost to writes: code that keeps changing must earn its next region. */
  private readonly losses = new Map<number, number>();
  /** Blocks for which no region can be made: not tried again. */
  private readonly refused = new Set<number>();

  constructor(cache: CodeCache, translator: Translator, host: HostNames, lent: RegionHost) {
    this.cache = cache;
    this.translator = translator;
    this.host = host;
    this.lent = lent;
    this.nextShape = lent.firstShape;
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
    const losses = 2 ** Math.min(this.losses.get(page) ?? 0, 20);
    if (this.byExit.has(address) || (this.entered[header >>> 5] & (1 << header)) !== 0) return losses;
    const offset = address & 0xfff;
    const isInside = (region: Region): boolean => (region.ranges.get(page) ?? []).some(([from, length]) => from <= offset && offset < from + length);
    return (this.byPage.get(page) ?? []).some(isInside) ? insidePatience * losses : losses;
  }

  /**
   * The block at `header` is hot: translates the code from it on. If a deep region leaves to it, that one is made anew instead, for what was cold when it was made
   * belongs to it; two regions would share most of their code.
   */
  make(header: number, around: Surroundings, isDeep = false): void {
    const { C } = this.cache;
    const address = C[header - 3];
    for (const region of this.byExit.get(address) ?? []) {
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
      this.uninstall(region);
      const base = (around.base + (address & 0xfff) - exit) | 0;
      this.makeFrom(region.header, { ...around, base, page: (k) => around.page(k - shift) }, { isDeep: true, growth: region.growth + 1 });
      const grown = this.live.get(C[region.header + 2] & shapeBits);
      if (grown === undefined || grown.exitTo.has(address)) break;
      // Known to have run, but to earn a region of its own it must be entered from elsewhere.
      C[header + 1] = 1;
      return;
    }
    this.makeFrom(header, around, { isDeep, growth: 0 });
  }

  /** The region at `header` is entered so often that the calls it makes are worth taking in: makes it anew, deep. */
  deepen(header: number, around: Surroundings): void {
    const region = this.live.get(this.cache.C[header + 2] & shapeBits);
    if (region === undefined || region.isDeep) return;
    this.uninstall(region);
    this.makeFrom(header, around, { isDeep: true, growth: 0 });
  }

  private makeFrom(header: number, around: Surroundings, { isDeep, growth }: Pick<Region, "isDeep" | "growth">): void {
    if (this.refused.has(header) || (this.freeShapes.length === 0 && this.nextShape > this.lent.lastShape)) return;
    const { C } = this.cache;
    const address = C[header - 3];
    const mode = C[header - 2] & modeMask;
    const started = performance.now();
    const pages = new Map<number, RegionPage | undefined>();
    const page = (k: number): RegionPage | undefined => {
      if (!pages.has(k)) pages.set(k, Math.abs(k) > maximumReach ? undefined : around.page(k));
      return pages.get(k);
    };
    const heats = new Map<number, ReadonlyMap<number, number>>();
    const code = this.translator.region({
      page,
      entry: address & 0xfff,
      mode,
      name: `f_${((around.base + (address & 0xfff)) >>> 0).toString(16)}`,
      base: around.base,
      heat: (offset) => {
        const k = offset >> 12;
        let onPage = heats.get(k);
        if (onPage === undefined) {
          onPage = this.heatsOn(page(k), header);
          heats.set(k, onPage);
        }
        return onPage.get(offset & 0xfff) ?? 0;
      },
      word: around.word,
      segmentBase: around.segmentBase,
      within: around.within,
      followsCalls: isDeep,
      hotCall: this.lent.hotCall,
    });
    // One or two instructions without a loop: entering and leaving would cost more than they do, but for a caller that is a region.
    const least = code?.isCallable === true && this.lent.callsSubroutines ? 1 : this.lent.smallestRegion;
    if (code === undefined || code.instructions < least) {
      this.refused.add(header);
      return;
    }
    const links = this.cache.top;
    code.exits.forEach((offset, k) => {
      this.lent.addStub(links + k, offset, address & ~0xfff, code.wrapping.has(k) ? wrapping : 0);
    });
    this.cache.top = links + code.exits.length;
    const shape = this.freeShapes.pop() ?? this.nextShape++;
    const run = this.compiled(code, links, shape);
    code.release();
    this.textLength += code.size;
    if (this.textLength > maximumText) this.cache.close();
    const region: Region = {
      code,
      run,
      header,
      instructions: C[header],
      firstShape: C[header + 2] & shapeBits,
      executions: C[header + 1] >>> 0,
      shape,
      isDeep,
      growth,
      exitTo: new Map(
        code.exits.flatMap((offset) =>
          page(offset >> 12) === undefined ? [] : [[((page(offset >> 12) as RegionPage).address + (offset & 0xfff)) | 0, offset] as const],
        ),
      ),
      ranges: rangesByPage(code, page),
      mode,
    };
    this.live.set(shape, region);
    this.lent.handlers[shape] = run;
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
    this.milliseconds += performance.now() - started;
    this.made(region);
  }

  /** As WebAssembly if that can be. */
  private compiled(code: RegionCode, links: number, shape: number): RegionFunction {
    const made = this.wasm?.addRegion(code, links, shape);
    if (made !== undefined) return made;
    const run = compile<RegionFunction>(code.text, code.freeNames, Object.create(this.host, { L: { value: links } }));
    this.wasm?.addRegionInJavaScript(run, shape);
    return run;
  }

  /** Whether any region was made from any of bytes [from, to) of a page. */
  covers(page: number, from: number, to: number): boolean {
    const list = this.byPage.get(page);
    return list?.some(({ ranges }) => (ranges.get(page) ?? []).some(([offset, length]) => offset < to && offset + length > from)) === true;
  }

  /** Bytes [from, to) of a page were written: gives the blocks back whose region was made from any of them. True if there were some. */
  invalidate(page: number, from: number, to: number): boolean {
    const list = this.byPage.get(page);
    if (list === undefined) return false;
    const lost = list.filter((region) => (region.ranges.get(page) ?? []).some(([offset, length]) => offset < to && offset + length > from));
    if (lost.length === 0) return false;
    for (const region of lost) this.remove(region);
    this.losses.set(page, (this.losses.get(page) ?? 0) + 1);
    return true;
  }

  /**
   * Executions of the live blocks of a page, of the kind of the one at `entry`, by the page offset they begin at. -1 for the entry of a large region: leaving for it costs less than having its code once
   * more.
   */
  private heatsOn(page: RegionPage | undefined, entry: number): ReadonlyMap<number, number> {
    const heats = new Map<number, number>();
    if (page === undefined) return heats;
    const { C } = this.cache;
    const mode = C[entry - 2] & modeMask;
    const number = page.address >>> 12;
    for (const b of this.cache.liveOn(number)) {
      if ((C[b - 2] & modeMask) !== mode || C[b - 3] >>> 12 !== number) continue;
      if ((mode & modes.edge) !== 0 && (C[b - 4] !== C[entry - 4] || C[b - 5] !== C[entry - 5])) continue;
      const region = this.live.get(C[b + 2] & shapeBits);
      heats.set(C[b - 3] & 0xfff, region !== undefined && region.code.instructions > largestShared ? -1 : C[b + 1]);
    }
    return heats;
  }

  /** Byte ranges of the page's regions: they count as covered. */
  *rangesOn(page: number): IterableIterator<readonly [number, number]> {
    for (const region of this.byPage.get(page) ?? []) yield* region.ranges.get(page) ?? [];
  }

  /** Times a region was entered through the dispatcher's loop. */
  get entries(): number {
    let sum = this.entriesBefore;
    for (const { header, executions } of this.live.values()) sum += (this.cache.C[header + 1] >>> 0) - executions;
    return sum;
  }

  /** Guest instructions that tier 0 executed in blocks that head regions now, or did. */
  get tierZeroInstructions(): number {
    let sum = this.executedBefore;
    for (const { instructions, executions } of this.live.values()) sum += instructions * executions;
    return sum;
  }

  private remove(region: Region): void {
    this.uninstall(region);
    this.invalidated++;
    this.cache.C[region.header + 1] = 0;
  }

  /** Gives the block back. */
  private uninstall(region: Region): void {
    const { C } = this.cache;
    const { header } = region;
    this.entriesBefore += (C[header + 1] >>> 0) - region.executions;
    this.executedBefore += region.instructions * region.executions;
    this.live.delete(region.shape);
    for (const number of region.ranges.keys()) drop(this.byPage, number, region);
    for (const exit of region.exitTo.keys()) drop(this.byExit, exit, region);
    this.textLength -= region.code.size;
    // Guest code that keeps changing must not keep what was made of it alive. The region itself may be running: that is the host's stack's matter.
    this.lent.handlers[region.shape] = gone;
    this.wasm?.removeRegion(region.shape);
    this.freeShapes.push(region.shape);
    C[header] = region.instructions;
    C[header + 2] = (C[header + 2] & ~shapeBits) | region.firstShape;
  }

  /** The code cache was flushed. */
  clear(): void {
    this.entriesBefore = this.entries;
    this.executedBefore = this.tierZeroInstructions;
    for (const shape of this.live.keys()) {
      this.lent.handlers[shape] = gone;
      this.wasm?.removeRegion(shape);
    }
    this.live.clear();
    this.textLength = 0;
    this.freeShapes.length = 0;
    this.nextShape = this.lent.firstShape;
    this.byPage.clear();
    this.byExit.clear();
    this.entered.fill(0);
    this.refused.clear();
    this.losses.clear();
  }
}

function rangesByPage(code: RegionCode, page: (k: number) => RegionPage | undefined): Map<number, (readonly [number, number])[]> {
  const ranges = new Map<number, (readonly [number, number])[]>();
  for (const [offset, length] of code.ranges) {
    const number = (page(offset >> 12) as RegionPage).address >>> 12;
    const list = ranges.get(number);
    const range = [offset & 0xfff, length] as const;
    if (list === undefined) ranges.set(number, [range]);
    else list.push(range);
  }
  return ranges;
}

function drop(map: Map<number, Region[]>, key: number, region: Region): void {
  const left = (map.get(key) ?? []).filter((other) => other !== region);
  if (left.length === 0) map.delete(key);
  else map.set(key, left);
}
