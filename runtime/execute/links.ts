/**
 * Links from block to block: an exit's word leads to a stub at first, which finds its block when the guest first comes there, and then to that block, or, across pages, to the
 * stub still, which knows the block and asks only whether the translation is what it was. What dies stays where it is and leads on.
 */
import { linearCode as linearCodeImported, mode } from "../../translator/contract/mode-key.ts";
import { segment, slot as slotImported } from "../../translator/contract/slots.ts";
import { type CodeCache, modeMask as modeMaskImported, shapeBits as shapeBitsImported } from "../code/code-cache.ts";
import { fixedWords as fixedWordsImported, pseudo as pseudoImported, wrapping as wrappingImported } from "../code/pseudo-shapes.ts";
import type { Cpu } from "../cpu/cpu.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const slot = slotImported;
const pseudo = pseudoImported;
const linearCode = linearCodeImported;
const modeMask = modeMaskImported;
const shapeBits = shapeBitsImported;
const fixedWords = fixedWordsImported;
const wrapping = wrappingImported;
const { singleStep } = mode;
const { page: pageSlot, eip: eipSlot, mode: modeSlot } = slot;
const csBase = slot.segmentBase + segment.cs;
const csLimit = slot.segmentLimit + segment.cs;

/** Dead blocks that may lead to each other before it is faster to look the last one up. */
const maximumHops = 4;

export class Links {
  /** Dead blocks that one behind the other lead to a block, by its header. */
  private readonly hops = new Map<number, number>();
  private readonly cpu: Cpu;
  private readonly cache: CodeCache;
  private readonly C: Int32Array;
  /** With R[eip] current: the header to go on at (Dispatcher). */
  private readonly dispatch: () => number;
  private readonly keeps: boolean;

  /** @param keeps false: every way is looked for each time */
  constructor(cpu: Cpu, cache: CodeCache, dispatch: () => number, keeps: boolean) {
    this.cpu = cpu;
    this.cache = cache;
    this.C = cache.C;
    this.dispatch = dispatch;
    this.keeps = keeps;
  }

  /** All code is dropped. */
  clear(): void {
    this.hops.clear();
  }

  /** First arrival at the stub whose shape word is at `p`. */
  arrive(p: number): number {
    const { C } = this;
    const R = this.cpu.R;
    const offset = C[p + 1];
    const { epoch } = this.cache;
    const eip = this.target(p);
    const hasWrapped = eip !== ((R[pageSlot] + offset) | 0);
    const base = R[csBase];
    const limit = R[csLimit];
    const modeBefore = R[modeSlot];
    R[eipSlot] = eip;
    const header = this.dispatch();
    // Not a plain arrival (an interrupt came first, another epoch): leave the stub as it is.
    const key = C[header - 2] & modeMask;
    if (!this.keeps || header < fixedWords || this.cache.epoch !== epoch || (key & singleStep) !== 0) return header;
    // A handler may begin where the jump went to.
    if (R[eipSlot] !== eip || R[csBase] !== base || R[csLimit] !== limit || R[modeSlot] !== modeBefore) return header;
    // Not findable either: good for this once.
    if (C[header - 3] === -1) return header;
    if ((key & linearCode) !== linearCode) {
      // Where EIP wraps around, or another mapping or segment lets another page follow, the dispatcher finds the way each time.
      if (hasWrapped) return header;
      if (offset < 0 || offset >= 0x1000) {
        C[p] = (C[p] & ~shapeBits) | pseudo.crossSegmented;
        C[p + 3] = C[header - 3] & ~0xfff;
        C[p + 4] = header;
        return header;
      }
    }
    if (offset >= 0 && offset < 0x1000) {
      // The same linear page; if it was remapped meanwhile, the block came from another physical one. And another block may be where the link was.
      if (((C[header - 3] ^ C[p + 5]) & ~0xfff) === 0 && C[C[p + 2]] === ~(p - 2)) {
        C[C[p + 2]] = ~header;
        this.cache.freeStub(p - 2);
      }
    } else {
      C[p] = pseudo.crossPage;
      C[p + 3] = C[header - 3] & ~0xfff;
      C[p + 4] = header;
    }
    return header;
  }

  /**
   * Arrival at the first word `p` of a dead block, by a link made when it lived. Such links are for good (a kernel patches its own functions, and whoever called them goes on
   * to), so the dead block becomes a way to the one that was decoded since.
   */
  revive(p: number): number {
    const { C } = this;
    const R = this.cpu.R;
    const offset = C[p] >>> 16;
    const key = C[p - 4] & modeMask;
    const { epoch } = this.cache;
    const eip = (R[pageSlot] + offset) | 0;
    const modeBefore = R[modeSlot];
    R[eipSlot] = eip;
    const header = this.dispatch();
    // It lives again.
    if (header === p - 2) return header;
    // Not a plain arrival, as in `arrive`.
    if (!this.keeps || header < fixedWords || this.cache.epoch !== epoch || R[eipSlot] !== eip || R[modeSlot] !== modeBefore) return header;
    if ((key & linearCode) !== linearCode || (key & singleStep) !== 0 || (C[header - 2] & modeMask) !== key) return header;
    if (C[header - 3] === -1 || (C[header - 3] & 0xfff) !== offset) return header;
    const hops = (this.hops.get(p - 2) ?? 0) + 1;
    if (hops > maximumHops || C[p - 3] < p + 2) return header;
    this.hops.set(header, hops);
    // No instructions are taken off the budget for it.
    C[p - 2] = 0;
    C[p] = pseudo.fall | (offset << 16);
    C[p + 1] = ~header;
    return header;
  }

  /** The page behind a cross-page link is another one now, or its translation is not at hand. */
  relink(p: number): number {
    this.C[p] = (this.C[p] & ~shapeBits) | pseudo.stub;
    return this.arrive(p);
  }

  /** EIP that the stub whose shape word is at `p` stands for. */
  target(p: number): number {
    const eip = (this.cpu.R[pageSlot] + this.C[p + 1]) | 0;
    return this.C[p] >>> 16 === wrapping ? eip & 0xffff : eip;
  }
}
