/**
 * Regions in place: a translated region takes over the block at its entry by replacing that block's first words with the `region` pseudo-instruction, and gives it back
 * when any byte it was made from is overwritten. Links to the block need not change either way.
 */
import type { RegionCode, Translator } from "../../translator/contract/translator.ts";
import { type CodeCache, shapeBits } from "./code-cache.ts";
import { compile, type HostNames } from "./compile.ts";

export type RegionFunction = () => number;

export interface Region {
  readonly code: RegionCode;
  readonly run: RegionFunction;
  /** Header of the block it stands in for, and what of that block it replaced: instruction count, first shape number. */
  readonly header: number;
  readonly instructions: number;
  readonly firstShape: number;
  /** Its own shape number. */
  readonly shape: number;
  /** Physical page its code is on. */
  readonly page: number;
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
  readonly addStub: (link: number, offset: number, at: number, page: number) => number;
}

/** Characters of text: V8 holds about three bytes for each, in the text itself, its copy of it, and what it made of it. */
const maximumText = 1 << 27;

/** In place of a region that is no more; nothing leads there. */
const gone: RegionFunction = () => {
  throw new Error("a region that is gone was entered");
};

export class Regions {
  /** Live regions by shape number. */
  readonly live = new Map<number, Region>();
  translated = 0;
  invalidated = 0;
  /** Host milliseconds spent translating and handing text to V8. */
  milliseconds = 0;
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
  }

  /** By how much the threshold of executions is raised for code on a page: doubled with each region lost there. */
  patience(page: number): number {
    return 2 ** Math.min(this.losses.get(page) ?? 0, 20);
  }

  /** Translates the code from the block at `header` on. `bytes` is its physical page. */
  make(header: number, bytes: Uint8Array, eip: number): void {
    if (this.refused.has(header) || (this.freeShapes.length === 0 && this.nextShape > this.lent.lastShape)) return;
    const { C } = this.cache;
    const address = C[header - 3];
    const page = address >>> 12;
    const mode = C[header - 2] & 0xff;
    const started = performance.now();
    const heats = new Map<number, number>();
    for (const b of this.cache.liveOn(page)) if ((C[b - 2] & 0xff) === mode && C[b - 3] >>> 12 === page) heats.set(C[b - 3] & 0xfff, C[b + 1]);
    const code = this.translator.region({
      page: bytes,
      entry: address & 0xfff,
      mode,
      name: `f_${(eip >>> 0).toString(16)}`,
      heat: (offset) => heats.get(offset) ?? 0,
    });
    // One or two instructions without a loop: entering and leaving would cost more than they do.
    if (code === undefined || code.instructions < this.lent.smallestRegion) {
      this.refused.add(header);
      return;
    }
    // Link words, then their stubs.
    const links = this.cache.top;
    let at = links + code.exits.length;
    code.exits.forEach((offset, k) => {
      at = this.lent.addStub(links + k, offset, at, address & ~0xfff);
    });
    this.cache.top = at;
    const run = compile<RegionFunction>(code.text, code.freeNames, Object.create(this.host, { L: { value: links } }));
    this.textLength += code.text.length;
    if (this.textLength > maximumText) this.cache.close();
    const shape = this.freeShapes.pop() ?? this.nextShape++;
    const region: Region = { code, run, header, instructions: C[header], firstShape: C[header + 2] & shapeBits, shape, page, mode };
    this.live.set(shape, region);
    this.lent.handlers[shape] = run;
    // The region keeps the budget itself: the block counts as none.
    C[header] = 0;
    C[header + 2] = (C[header + 2] & ~shapeBits) | shape;
    const onPage = this.byPage.get(page);
    if (onPage === undefined) this.byPage.set(page, [region]);
    else onPage.push(region);
    for (const [offset, length] of code.ranges) this.cache.coverRange(page, offset, offset + length);
    this.translated++;
    this.milliseconds += performance.now() - started;
    this.made(region);
  }

  /** Bytes [from, to) of a page were written: gives the blocks back whose region was made from any of them. True if there were some. */
  invalidate(page: number, from: number, to: number): boolean {
    const list = this.byPage.get(page);
    if (list === undefined) return false;
    const left: Region[] = [];
    for (const region of list) {
      if (region.code.ranges.some(([offset, length]) => offset < to && offset + length > from)) this.remove(region);
      else left.push(region);
    }
    if (left.length === list.length) return false;
    this.losses.set(page, (this.losses.get(page) ?? 0) + 1);
    if (left.length === 0) this.byPage.delete(page);
    else this.byPage.set(page, left);
    return true;
  }

  /** Byte ranges of the page's regions: they count as covered. */
  *rangesOn(page: number): IterableIterator<readonly [number, number]> {
    for (const region of this.byPage.get(page) ?? []) yield* region.code.ranges;
  }

  private remove(region: Region): void {
    const { C } = this.cache;
    const { header } = region;
    this.invalidated++;
    this.live.delete(region.shape);
    this.textLength -= region.code.text.length;
    // Guest code that keeps changing must not keep what was made of it alive. The region itself may be running: that is the host's stack's matter.
    this.lent.handlers[region.shape] = gone;
    this.freeShapes.push(region.shape);
    C[header] = region.instructions;
    C[header + 1] = 0;
    C[header + 2] = (C[header + 2] & ~shapeBits) | region.firstShape;
  }

  /** The code cache was flushed. */
  clear(): void {
    for (const shape of this.live.keys()) this.lent.handlers[shape] = gone;
    this.live.clear();
    this.textLength = 0;
    this.freeShapes.length = 0;
    this.nextShape = this.lent.firstShape;
    this.byPage.clear();
    this.refused.clear();
    this.losses.clear();
  }
}
