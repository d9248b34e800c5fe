/**
 * The code cache: every decoded block of tier 0 in one Int32Array, found by physical address and mode key, dropped when the guest writes over its bytes.
 *
 * A block at index b (its header):
 *
 *     C[b-3] physical address of its first byte, -1 once dead     C[b-2] mode | bytes << modeWidth     C[b-1] index after its last word
 *     C[b]   guest instructions in it (0: a stub)                 C[b+1] executions
 *     C[b+2 ...] instructions: shape number | page offset << 16, fields, links
 *
 * and, of blocks whose EIP is not their linear address, as it was when they were decoded (for `edge` blocks it must be so, see mode-key.ts):
 *
 *     C[b-6] base of CS     C[b-5] limit of CS     C[b-4] EIP of the page's first byte
 *
 * Blocks lie one behind the other from the start of the array, for what runs together is best kept together; stubs, which are seldom run more than once, from its end.
 * Links hold ~header of the next block. A dead block is *poisoned*: each of its instructions' shape word becomes the `poison` shape, so that whoever arrives, through
 * a link or in the middle of running it, leaves to the dispatcher at that very instruction, and is given back what the rest of the block had cost. Nobody needs to
 * know who links to a block. Where another block was decoded since, the dead one becomes a way to it (Links.revive).
 */
import { type ModeKey, modeWidth as modeWidthImported } from "../../translator/contract/mode-key.ts";
import type { Coverage } from "./coverage.ts";
import { stubWords } from "./pseudo-shapes.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const modeWidth = modeWidthImported;
/** Of the word that holds a block's mode and length. */
export const modeMask = (1 << modeWidth) - 1;

export const shapeBits = 0xffff;
/** Words before a block's header, and those before them of code whose EIP is not its linear address. */
const preamble = 3;
const segmentedPreamble = 3;
/** Longest block in words, or the links of the largest region, with their stubs: what must be free before one is begun. */
const reserve = 8192;

/** Writes to a page without code any more after which it is not watched any longer. */
const patience = 16;

export class CodeCache {
  readonly C: Int32Array;
  /** Next free word for blocks, and the first one of the stubs. */
  top: number;
  private bottom: number;
  /** Stubs that nobody needs any more. */
  private readonly freeStubs: number[] = [];
  blocks = 0;
  invalidatedBlocks = 0;
  /** Guest instructions that tier 0 executed in blocks that are no more. */
  executedBefore = 0;
  flushes = 0;
  /** Raised by each flush: an index from an earlier epoch means nothing. */
  epoch = 0;
  /** Words of instruction shapes by number: shape word, fields and links. */
  sizeOf: (shape: number) => number = () => 1;
  /** Guest instructions of a shape by number. */
  instructionsOf: (shape: number) => number = () => 1;
  /** The first of the shape numbers that leave to the dispatcher: see pseudo-shapes.ts. */
  poison = 0;
  poisonAtStart = 0;
  /** Decodes again what of a block was made from bytes [from, to) of its page, in place; false: it cannot stay. */
  repair: (header: number, from: number, to: number) => boolean = () => false;
  /** Does so whatever `repair` thinks of the block. */
  renew: (header: number, from: number, to: number) => boolean = () => false;
  /** Whether a live region stands in for the block and none of bytes [from, to) of its page, which were written, matter to it: the block is seen to when it is given back. */
  isUnderRegion: (header: number, from: number, to: number) => boolean = () => false;
  /** Told when a block dies, before it is poisoned. */
  blockDied: (header: number) => void = () => {};

  private readonly firstFree: number;
  private table = new Int32Array(3 << 14);
  private mask = (1 << 14) - 1;
  private entries = 0;
  /** Where the room of blocks ends that were put in the place of dead ones. */
  private readonly rooms = new Map<number, number>();
  /** Live blocks by physical page. */
  private readonly pages = new Map<number, number[]>();
  /** Bytes of each code page that live blocks and regions were made from. */
  readonly coverage: Coverage;
  /**
   * Pages whose last block died, with how many more writes they are watched for: code that is rewritten is mostly run again, and to tell the TLB each time that a page has code
   * costs more than the rest of it.
   */
  private readonly emptied = new Map<number, number>();

  /** @param C the code array, zero-filled; @param fixed words at its start that are the dispatcher's */
  constructor(C: Int32Array, fixed: number, coverage: Coverage) {
    this.C = C;
    this.coverage = coverage;
    this.firstFree = fixed;
    this.top = fixed;
    this.bottom = C.length;
  }

  get isFull(): boolean {
    return this.top + reserve > this.bottom;
  }

  /** Words in use. */
  get used(): number {
    return this.top + this.C.length - this.bottom;
  }

  /** Place of a new stub. */
  takeStub(): number {
    const free = this.freeStubs.pop();
    if (free !== undefined) return free;
    this.bottom -= stubWords;
    return this.bottom;
  }
  /** The link that led to the stub at `at` leads on. */
  freeStub(at: number): void {
    this.freeStubs.push(at);
  }

  /**
   * Header of the live block at `address` under `mode`, or 0.
   * @param mode its mode key; of an `edge` block, with a number above it that stands for where its page lies in the segment
   */
  find(address: number, mode: number): number {
    const header = this.last(address, mode);
    return header !== 0 && this.C[header - 3] === (address | 0) ? header : 0;
  }

  /** The block that was there last, alive or dead. */
  private last(address: number, mode: number): number {
    const { table, mask } = this;
    let k = hash(address, mode) & mask;
    for (;;) {
      const header = table[3 * k + 2];
      if (header === 0) return 0;
      if (table[3 * k] === (address | 0) && table[3 * k + 1] === mode) return header;
      k = (k + 1) & mask;
    }
  }

  /** Begins a block: returns its header; words are to be stored from header + 2 on. */
  begin(isLinear: boolean): number {
    return this.top + preamble + (isLinear ? 0 : segmentedPreamble);
  }

  /**
   * The header of a block that died at `address` under `mode`, if so many words have room in its place; or 0. Who still leads to it gets the block that is put there, which would be found for him
   * anyway; nobody is in the middle of it any more when the next one is decoded.
   */
  placeOfDead(address: number, mode: number, words: number): number {
    const header = this.last(address, mode);
    return header !== 0 && header + words <= (this.rooms.get(header) ?? this.C[header - 1]) ? header : 0;
  }

  /** Makes the block at `header`, whose words end before `end`, findable. `length` bytes of guest code on the page(s) from `address`. */
  finish(header: number, end: number, address: number, mode: number, length: number, instructions: number): void {
    this.finishOnce(header, end, mode, length, instructions);
    this.C[header - 3] = address | 0;
    this.insert(address | 0, mode, header);
    this.cover(address >>> 12, header, address & 0xfff, Math.min((address & 0xfff) + length, 0x1000));
  }

  /** Words up to `end` are taken; those of a block in the place of a dead one were before. */
  take(header: number, end: number): void {
    if (end > this.top) this.top = end;
    else if (!this.rooms.has(header)) this.rooms.set(header, this.C[header - 1]);
  }

  /** Makes the block at `header` runnable, but not findable: code outside RAM, which nobody reports writes to, is decoded each time. */
  finishOnce(header: number, end: number, mode: number, length: number, instructions: number): void {
    const { C } = this;
    C[header - 3] = -1;
    C[header - 2] = (mode & modeMask) | (length << modeWidth);
    C[header - 1] = end;
    C[header] = instructions;
    C[header + 1] = 0;
    this.blocks++;
  }

  /** The block also was made from bytes [0, to) of another page (its last instruction straddles). */
  coverSecondPage(page: number, header: number, to: number): void {
    this.cover(page, header, 0, to);
  }

  hasCode(page: number): boolean {
    return this.pages.has(page);
  }

  pageHasCode: (page: number, has: boolean) => void = () => {};

  private cover(page: number, header: number, from: number, to: number): void {
    this.coverRange(page, from, to);
    this.pages.get(page)?.push(header);
  }

  /** The block at `header`, which a region stood in for, runs again. */
  giveBack(header: number): void {
    const start = this.C[header - 3] & 0xfff;
    this.coverRange(this.C[header - 3] >>> 12, start, Math.min(start + (this.C[header - 2] >>> modeWidth), 0x1000));
  }

  /** Something was made from bytes [from, to) of a page. */
  coverRange(page: number, from: number, to: number): void {
    if (!this.pages.has(page)) {
      this.pages.set(page, []);
      this.pageHasCode(page, true);
    }
    this.coverage.begin(page);
    this.coverage.add(page, from, to);
  }

  /**
   * Bytes [from, to) of physical page `page` were written. Kills the blocks made from any of them, but for those that the write left the same instructions with other numbers
   * in them (immediates, displacements).
   * @returns true if a block or region died
   */
  invalidate(page: number, from: number, to: number): boolean {
    const list = this.pages.get(page);
    if (list === undefined) return false;
    if (!this.coverage.includes(page, from, to)) {
      this.writtenBeside(page);
      return false;
    }
    // Regions first: they give their blocks' words back.
    let died = this.regionsWritten(page, from, to);
    /** Whether some block must see the next write too. */
    let isWatched = false;
    const { C } = this;
    const left: number[] = [];
    for (const header of list) {
      if (C[header - 3] === -1) continue;
      const address = C[header - 3];
      const length = C[header - 2] >>> modeWidth;
      // Relative to this page; a straddling block may begin on the page before.
      const start = address >>> 12 === page ? address & 0xfff : (address & 0xfff) - 0x1000;
      const before = start - (address & 0xfff);
      const isWritten = start < to && start + length > from;
      if (isWritten && this.isUnderRegion(header, from - before, to - before)) isWatched ||= start < 0 || start + length > 0x1000;
      else if (isWritten) {
        if (start < 0 || !this.repair(header, from, to)) {
          this.kill(header);
          continue;
        }
        isWatched = true;
      }
      left.push(header);
    }
    died ||= left.length !== list.length;
    if (!died) {
      // What is left of these bytes are regions that read them, and blocks under those: neither has to be told again.
      if (!isWatched) this.coverage.remove(page, from, to);
      return false;
    }
    this.coverage.empty(page);
    // A region may hold bytes of this page that no block covers any more.
    this.pages.set(page, left);
    if (left.length === 0 && !this.hasRegions(page)) {
      this.emptied.set(page, patience);
      this.coverage.end(page);
    } else {
      for (const header of left) {
        const start = C[header - 3] >>> 12 === page ? C[header - 3] & 0xfff : (C[header - 3] & 0xfff) - 0x1000;
        const end = Math.min(start + (C[header - 2] >>> modeWidth), 0x1000);
        this.coverage.add(page, Math.max(start, 0), end);
      }
      for (const [offset, length] of this.regionRanges(page)) this.coverage.add(page, offset, offset + length);
    }
    return true;
  }

  private hasRegions(page: number): boolean {
    return this.regionRanges(page)[Symbol.iterator]().next().done !== true;
  }

  /** A page was written where no code is. One whose code is gone counts as a page without code in the end. */
  writtenBeside(page: number): void {
    if (this.pages.get(page)?.length !== 0) return;
    const left = this.emptied.get(page) ?? 0;
    if (left > 0) this.emptied.set(page, left - 1);
    else if (!this.hasRegions(page)) {
      this.emptied.delete(page);
      this.pages.delete(page);
      this.pageHasCode(page, false);
    }
  }

  /** Told of writes to a page with code before its blocks are looked at; true if a region died. */
  regionsWritten: (page: number, from: number, to: number) => boolean = () => false;
  regionRanges: (page: number) => Iterable<readonly [number, number]> = () => [];

  /** The block at `header` is no more. */
  kill(header: number): void {
    const { C } = this;
    this.blockDied(header);
    this.invalidatedBlocks++;
    this.executedBefore += C[header] * (C[header + 1] >>> 0);
    C[header - 3] = -1;
    const end = C[header - 1];
    let left = C[header];
    for (let p = header + 2; p < end; ) {
      const shape = C[p] & shapeBits;
      C[p] = (C[p] & ~shapeBits) | ((p === header + 2 ? this.poisonAtStart : this.poison) + left);
      left -= this.instructionsOf(shape);
      p += this.sizeOf(shape);
    }
  }

  /** Live blocks, for people and statistics. */
  *live(): IterableIterator<{ header: number; address: number; mode: ModeKey; length: number; instructions: number; executions: number }> {
    const { C } = this;
    const seen = new Set<number>();
    for (const list of this.pages.values()) {
      for (const header of list) {
        if (C[header - 3] === -1 || seen.has(header)) continue;
        seen.add(header);
        yield {
          header,
          address: C[header - 3] >>> 0,
          mode: C[header - 2] & modeMask,
          length: C[header - 2] >>> modeWidth,
          instructions: C[header],
          executions: C[header + 1] >>> 0,
        };
      }
    }
  }

  liveOn(page: number): readonly number[] {
    return (this.pages.get(page) ?? []).filter((header) => this.C[header - 3] !== -1);
  }

  /** Guest instructions that tier 0 executed: blocks times their lengths. Blocks that a region heads count as none, see `Regions.tierZeroInstructions`. */
  get executed(): number {
    let sum = this.executedBefore;
    for (const { instructions, executions } of this.live()) sum += instructions * executions;
    return sum;
  }

  /** Forgets everything. Nothing of it may be running. */
  flush(): void {
    this.executedBefore = this.executed;
    for (const page of this.pages.keys()) this.pageHasCode(page, false);
    this.pages.clear();
    this.coverage.clear();
    this.emptied.clear();
    this.rooms.clear();
    this.table.fill(0);
    this.entries = 0;
    this.top = this.firstFree;
    this.bottom = this.C.length;
    this.freeStubs.length = 0;
    this.flushes++;
    this.epoch++;
  }

  private insert(address: number, mode: number, header: number): void {
    if (this.entries * 2 > this.mask) this.grow();
    const { table, mask } = this;
    let k = hash(address, mode) & mask;
    while (table[3 * k + 2] !== 0 && !(table[3 * k] === address && table[3 * k + 1] === mode)) k = (k + 1) & mask;
    if (table[3 * k + 2] === 0) this.entries++;
    table[3 * k] = address;
    table[3 * k + 1] = mode;
    table[3 * k + 2] = header;
  }

  private grow(): void {
    const old = this.table;
    this.mask = this.mask * 2 + 1;
    this.table = new Int32Array(3 * (this.mask + 1));
    this.entries = 0;
    for (let k = 0; k < old.length; k += 3) if (old[k + 2] !== 0 && this.C[old[k + 2] - 3] !== -1) this.insert(old[k], old[k + 1], old[k + 2]);
  }
}

function hash(address: number, mode: number): number {
  const h = Math.imul(address ^ (mode << 24), 0x9e3779b1);
  return h ^ (h >>> 15);
}
