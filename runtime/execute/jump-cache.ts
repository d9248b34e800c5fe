/**
 * Where computed jumps led: block headers, direct-mapped by linear address and, behind that, by physical address: programs find what others left there of the code that they
 * share, wherever each has it mapped. A hit is checked against the block itself and the instruction TLB, so nothing need be flushed but with the code cache.
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
/** Of the hash of a linear address, which is its place: two words, the address and the header. */
export const jumpCacheMask = entries - 1;
const sharedEntries = 1 << 15;
/** Of the hash of a physical address, which is the place of its header. */
export const sharedJumpMask = sharedEntries - 1;
/** Words of the cache, and of its part that programs share. */
export const jumpCacheWords = 2 * entries;
export const sharedJumpWords = sharedEntries;

export class JumpCache {
  private readonly C: Int32Array;
  private readonly R: Int32Array;
  private readonly TX: Int32Array;
  readonly words: Int32Array;
  readonly shared: Int32Array;

  constructor(C: Int32Array, R: Int32Array, TX: Int32Array, words: Int32Array, shared: Int32Array) {
    this.words = words;
    this.shared = shared;
    this.C = C;
    this.R = R;
    this.TX = TX;
    // It is found nowhere.
    C[stopBlock - 3] = -1;
    this.clear();
  }

  /** The header of the block at `linear` in the present mode, or 0. */
  find(linear: number): number {
    const header = this.at(linear);
    return header !== 0 && ((this.C[header - 2] ^ this.R[modeSlot]) & modeMask) === 0 ? header : 0;
  }

  /** The same for code whose page may be an `edge` one, which the mode that the CPU is in does not say. */
  findOnEdges(linear: number): number {
    const header = this.at(linear);
    return header !== 0 && ((this.C[header - 2] ^ this.R[modeSlot]) & betweenEdges) === 0 ? header : 0;
  }

  /** A live block at `linear`, or 0. The page may have been remapped, or the block have died (address -1, which no translation yields), since it was noted. */
  private at(linear: number): number {
    const { C, words } = this;
    const T = this.TX[this.R[tlbHalf] + (linear >>> 12)];
    if ((T & 1) !== 0) return 0;
    const address = T ^ linear;
    const k = indexOf(linear);
    if (words[k] === linear && C[words[k + 1] - 3] === address) return words[k + 1];
    const header = this.shared[sharedIndexOf(address)];
    if (C[header - 3] !== address) return 0;
    words[k] = linear;
    words[k + 1] = header;
    return header;
  }

  note(linear: number, header: number): void {
    const k = indexOf(linear);
    this.words[k] = linear;
    this.words[k + 1] = header;
    this.shared[sharedIndexOf(this.C[header - 3])] = header;
  }

  clear(): void {
    this.words.fill(stopBlock);
    this.shared.fill(stopBlock);
  }
}

function indexOf(linear: number): number {
  return 2 * ((linear ^ (linear >>> 10)) & jumpCacheMask);
}

function sharedIndexOf(address: number): number {
  return (address ^ (address >>> 12)) & sharedJumpMask;
}
