/**
 * Where computed jumps led: address and block header, direct-mapped. A hit is checked against the block itself and the instruction TLB, so nothing need be flushed but with
 * the code cache. Addresses are linear ones.
 */
import { mode } from "../../translator/contract/mode-key.ts";
import { slot } from "../../translator/contract/slots.ts";
import { modeMask as modeMaskImported } from "../code/code-cache.ts";
import { stopBlock } from "../code/pseudo-shapes.ts";

// Bound here because V8 folds a module's own constants, but not those it imports.
const { tlbHalf, mode: modeSlot } = slot;

const modeMask = modeMaskImported;
const betweenEdges = modeMaskImported & ~mode.edge;

const entries = 1 << 14;
/** Of the hash of an address, which is its place. */
export const jumpCacheMask = entries - 1;
/** Words of the cache. */
export const jumpCacheWords = 2 * entries;

export class JumpCache {
  private readonly C: Int32Array;
  private readonly R: Int32Array;
  private readonly TX: Int32Array;
  readonly words: Int32Array;

  constructor(C: Int32Array, R: Int32Array, TX: Int32Array, words: Int32Array) {
    this.words = words.fill(stopBlock);
    this.C = C;
    this.R = R;
    this.TX = TX;
  }

  /** The header of the block at `linear` in the present mode, or 0. */
  find(linear: number): number {
    const header = this.words[indexOf(linear) + 1];
    return ((this.C[header - 2] ^ this.R[modeSlot]) & modeMask) === 0 && this.isAt(header, linear) ? header : 0;
  }

  /** The same for code whose page may be an `edge` one, which the mode that the CPU is in does not say. */
  findOnEdges(linear: number): number {
    const header = this.words[indexOf(linear) + 1];
    return ((this.C[header - 2] ^ this.R[modeSlot]) & betweenEdges) === 0 && this.isAt(header, linear) ? header : 0;
  }

  /** The page may have been remapped, or the block have died (address -1, which no translation yields), since. */
  private isAt(header: number, linear: number): boolean {
    if (this.words[indexOf(linear)] !== linear) return false;
    const T = this.TX[this.R[tlbHalf] + (linear >>> 12)];
    return (T & 1) === 0 && (T ^ linear) === this.C[header - 3];
  }

  note(linear: number, header: number): void {
    const k = indexOf(linear);
    this.words[k] = linear;
    this.words[k + 1] = header;
  }

  clear(): void {
    this.words.fill(stopBlock);
  }
}

function indexOf(linear: number): number {
  return 2 * ((linear ^ (linear >>> 10)) & (entries - 1));
}
