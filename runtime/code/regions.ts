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
  /** Header of the block it stands in for, and that block's own words. */
  readonly header: number;
  readonly saved: readonly number[];
  /** Physical page its code is on. */
  readonly page: number;
  readonly mode: number;
}

/** Words of the block's head that installing overwrites: instruction count, executions, two words of code. */
const headWords = 4;

export class Regions {
  /** By the number stored in the code array; holes where regions died. */
  readonly list: (Region | undefined)[] = [];
  translated = 0;
  invalidated = 0;
  /** Host milliseconds spent translating and handing text to V8. */
  milliseconds = 0;
  /** Called with each region made, for debuggers and the inspector. */
  made: (region: Region) => void = () => {};

  private readonly cache: CodeCache;
  private readonly translator: Translator;
  private readonly host: HostNames;
  private readonly shape: number;
  private readonly addStub: (link: number, offset: number, at: number, page: number) => number;
  private readonly byPage = new Map<number, Region[]>();
  /** Blocks for which no region can be made: not tried again. */
  private readonly refused = new Set<number>();

  constructor(
    cache: CodeCache, translator: Translator, host: HostNames, shape: number,
    addStub: (link: number, offset: number, at: number, page: number) => number,
  ) {
    this.cache = cache;
    this.translator = translator;
    this.host = host;
    this.shape = shape;
    this.addStub = addStub;
  }

  /** Translates the code from the block at `header` on. `bytes` is its physical page. */
  make(header: number, bytes: Uint8Array, eip: number): void {
    if (this.refused.has(header)) return;
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
    if (code === undefined || code.instructions === 0) {
      this.refused.add(header);
      return;
    }
    // Link words, then their stubs.
    const links = this.cache.top;
    let at = links + code.exits.length;
    code.exits.forEach((offset, k) => {
      at = this.addStub(links + k, offset, at, address & ~0xfff);
    });
    this.cache.top = at;
    const run = compile<RegionFunction>(code.text, code.freeNames, Object.create(this.host, { L: { value: links } }));
    const region: Region = { code, run, header, saved: Array.from(C.subarray(header, header + headWords)), page, mode };
    const number = this.list.push(region) - 1;
    C[header] = 0;
    C[header + 2] = (C[header + 2] & ~shapeBits) | this.shape;
    C[header + 3] = number;
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
    this.invalidated++;
    const number = C[region.header + 3];
    this.list[number] = undefined;
    C[region.header] = region.saved[0];
    C[region.header + 2] = region.saved[2];
    C[region.header + 3] = region.saved[3];
  }

  /** The code cache was flushed. */
  clear(): void {
    this.list.length = 0;
    this.byPage.clear();
    this.refused.clear();
  }
}
